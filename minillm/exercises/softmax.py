"""What is asked of softmax, and what goes wrong."""

import numpy as np

from ..ops import softmax
from .exercise import Check, backward, forward, mistake
from .solutions import softmax as plain

FUNCTIONS = {"forward": softmax.forward, "backward": softmax.backward}
SHAPES = ((5,), (4, 4), (3, 6), (2, 3, 4), (3, 1))


def forwards(rng):
    for shape in SHAPES:
        yield forward(x=rng.normal(0.5, 1.5, shape))


def large(rng):
    """Numbers whose exponential overflows, in float32 too; and very negative ones, whose exponentials are all 0."""
    x = rng.normal(0, 2, (3, 5))
    yield forward(x=x + 2000)
    yield forward(x=x - 2000)
    yield forward(x=(x + 200).astype("float32"))


def different(rng):
    """Rows of very different height side by side; and −∞, which stands for "never"."""
    yield forward(x=rng.normal(0, 2, (4, 5)) + 3000 * np.array([[1], [0], [-1], [2]]))
    x = rng.normal(0, 2, (3, 5))
    x[0, 3:] = x[2, :2] = -np.inf
    yield forward(x=x)


def backwards(rng, times=1):
    for shape in SHAPES[:4]:
        yield backward(rng.normal(0.5, 1, shape), x=rng.normal(0, 1.5, shape), times=times)


CHECKS = [
    Check("forward", "every row of numbers becomes a distribution", forwards),
    Check("large", "numbers of any size come out finite and right", large, after=("forward",),
          says="e^x overflows for large x, and is 0 for very negative x."),
    Check("different", "each row is treated for itself, and −∞ becomes 0", different, after=("large",)),
    Check("backward", "backward returns (dx,)", backwards, after=("forward",)),
    Check("reuse", "backward can be called twice on one cache", lambda rng: backwards(rng, times=2), after=("backward",)),
]

E, DX = "np.exp(x - x.max(-1, keepdims=True))", "y * (dy - (dy * y).sum(-1, keepdims=True))"
MISTAKES = [mistake(name, advice, plain, *edits) for name, advice, *edits in [
    ("wrong axis", "Each row must sum to 1. Which axis are you summing over?", (E, E.replace("-1", "0")), ("e / e.sum(-1", "e / e.sum(0")),
    ("sums laid along the wrong axis", "The sum of a row divides that row. Which shape must the sums have for that?",
     ("e / e.sum(-1, keepdims=True)", "e / e.sum(-1)")),
    ("summed over everything", "Each row is a distribution for itself; yours sum to 1 all together.",
     (E, "np.exp(x)"), ("e / e.sum(-1, keepdims=True)", "e / e.sum()")),
    ("one maximum for all rows", "A row far below the largest number of the array is all zeros after exp. Whose maximum must be subtracted?",
     (E, "np.exp(x - x.max())")),
    ("overflow in exp", "e^x overflows for large x. What may be subtracted from a whole row without changing the result?", (E, "np.exp(x)")),
    ("not divided by the sum", "The exponentials must sum to 1. By what must each be divided?",
     (E, "np.exp(x)"), ("e / e.sum(-1, keepdims=True)", "e")),
    ("divided by the mean", "By what must the exponentials be divided so that they sum to 1?", ("e / e.sum(-1", "e / e.mean(-1")),
    ("logarithm of it", "You return log-probabilities; asked for are the probabilities.", ("return y, (y,)", "return np.log(y), (y,)")),
    ("backward taken for diagonal", "Raising one x_i lowers all other y_j of its row: the gradient is not dy · y · (1 − y).",
     (DX, "y * (1 - y) * dy")),
    ("the row's sum forgotten", "Half of it: dy · y is what reaches x_i directly. And through the sum that every y_j is divided by?", (DX, "y * dy")),
    ("backward sums over the wrong axis", "Σ_j dy_j y_j is one number a row. Which axis are you summing over?", (DX, DX.replace("-1", "0"))),
    ("backward's mean for sum", "Is it the sum of dy · y over the row, or their mean?", (DX, DX.replace("sum", "mean"))),
    ("backward's sum without y", "The sum over the row is of dy_j · y_j, each weighted by its probability.",
     (DX, "y * (dy - dy.sum(-1, keepdims=True))")),
    ("sign of backward", "Compare with the numeric slope: is it the same number with the other sign?", (DX, f"-{DX}")),
]]
