"""What is asked of a linear layer, and what goes wrong."""

from ..ops import linear
from .exercise import Check, asked, backward, forward, mistake

FUNCTIONS = {"forward": linear.forward, "backward": asked(linear.backward, without=("into",))}


def inputs(rng, rows, d, f, bias=True):
    return dict(x=rng.normal(0.5, 1, (*rows, d)), w=rng.normal(size=(d, f))) | (dict(b=rng.normal(size=f)) if bias else {})


def forwards(bias):
    def draw(rng):
        for rows, d, f in (((4,), 3, 5), ((2,), 4, 4), ((2, 3), 5, 2), ((1,), 3, 1)):
            yield forward(**inputs(rng, rows, d, f, bias))
    return draw


def shapes(rng):
    """No leading axis at all, three of them, and one row."""
    for rows, d, f in (((), 3, 5), ((2, 1, 3), 4, 2), ((1, 1), 2, 3)):
        values = inputs(rng, rows, d, f)
        yield forward(**values)
        yield backward(rng.normal(size=(*rows, f)), **values)


def backwards(bias, times=1, squares=((5,), (2, 3))):
    """Square weights too: there a matrix that should have been transposed gives no error, only wrong numbers."""
    def draw(rng):
        for rows, d, f in (*((rows, 4, 4) for rows in squares), ((5,), 3, 2), ((2, 3), 2, 5)):
            yield backward(rng.normal(size=(*rows, f)), **inputs(rng, rows, d, f, bias), times=times)
    return draw


CHECKS = [
    Check("forward", "forward multiplies every row of x with w", forwards(bias=False)),
    Check("bias", "forward adds b to every row, if there is one", forwards(bias=True), after=("forward",)),
    Check("backward", "backward returns dx, dw and None where there was no bias", backwards(bias=False), after=("forward",)),
    Check("backward_bias", "backward returns dx, dw and db", backwards(bias=True), after=("bias", "backward")),
    Check("shapes", "any number of leading axes will do, also none", shapes, after=("backward_bias",)),
    Check("reuse", "backward can be called twice on one cache", backwards(bias=True, times=2), after=("backward_bias",)),
]

Y, DX, DW, DB = "rows_of(wide(x)) @ wide(w)", "dy @ wide(w).T", "rows_of(wide(x)).T @ dy", "added(dy.sum(0), into[1])"
MISTAKES = [mistake(name, advice, linear, *edits) for name, advice, *edits in [
    ("w transposed in forward", "w is stored (in, out): y = x @ w, without a transpose.", (Y, f"{Y}.T")),
    ("bias forgotten", "If there is a b, it is added to every row.", ("y += wide(b)", "pass")),
    ("bias subtracted", "Which sign has b?", ("y += wide(b)", "y -= wide(b)")),
    ("dx with w, not wᵀ", "x_i reaches every y_j through w_ij, so dx_i is a sum over j. Which of w's axes must be summed over?",
     (DX, "dy @ wide(w)")),
    ("dw transposed", "dw has the shape of w: (in, out). Which factor comes first in xᵀ · dy?", (DW, "(dy.T @ rows_of(wide(x)))")),
    ("dw of one row only", "Every row of x used the same w: what each of them asks for is added up.", (DW, "rows_of(wide(x))[-1:].T @ dy[-1:]")),
    ("mean for sum in dw", "The rows' gradients are summed: a mean over the rows was no part of forward.", (DW, f"{DW} / len(dy)")),
    ("mean for sum in db", "b was added to every row, so db is the sum over the rows, not their mean.", (DB, "added(dy.mean(0), into[1])")),
    ("db not summed", "db has the shape of b. Over which axes must dy be summed for that?", (DB, "dy.reshape(*x.shape[:-1], w.shape[1])")),
    ("db summed over one axis only", "With several leading axes, all of them must go.", (DB, "dy.reshape(*x.shape[:-1], w.shape[1]).sum(0)")),
    ("db summed over the wrong axis", "db has one number for each column of dy. Which axis must go?", (DB, "dy.sum(1)")),
    ("a gradient for a bias that wasn't there", "Without a bias the third gradient is None.", ("has_bias = cache", "has_bias = *cache[:2], True")),
    ("None left out", "backward returns one gradient for each argument of forward: three, the last of them None where there was no bias.",
     ("return dx, dw, db", "return (dx, dw, db) if has_bias else (dx, dw)")),
    ("dx and dw swapped", "The gradients come in the order of forward's arguments: dx, dw, db.", ("return dx, dw, db", "return dw, dx, db")),
]]
