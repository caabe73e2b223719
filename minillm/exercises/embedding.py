"""What is asked of an embedding, and what goes wrong."""

import numpy as np

from ..ops import embedding
from .exercise import Check, asked, backward, forward, mistake

FUNCTIONS = {"forward": embedding.forward, "backward": asked(embedding.backward, without=("into",))}


def inputs(rng, rows, v, d, repeated=False):
    """Ids without repetition, or with many; there are always some that never come."""
    n = int(np.prod(rows))
    ids = rng.integers(0, 3, n) + rng.integers(0, v - 3) if repeated else rng.permutation(v)[:n]
    return dict(ids=ids.reshape(rows), w=rng.normal(size=(v, d)))


def forwards(rng):
    for rows, v, d, repeated in (((4,), 7, 3, False), ((5,), 6, 2, True), ((1,), 5, 4, False)):
        yield forward(**inputs(rng, rows, v, d, repeated))


def backwards(repeated, times=1):
    def draw(rng):
        for rows, v, d in (((4,), 7, 3), ((5,), 6, 2), ((3,), 4, 3)):
            yield backward(rng.normal(0.5, 1, (*rows, d)), **inputs(rng, rows, v, d, repeated), times=times)
    return draw


def shapes(rng):
    """No axis at all (one id), two, and three; square ones among them, where a wrong order of axes gives no error."""
    for rows, v, d in (((), 5, 3), ((2, 3), 7, 4), ((3, 3), 9, 3), ((2, 1, 2), 6, 5)):
        values = inputs(rng, rows, v, d, repeated=bool(rows))
        yield forward(**values)
        yield backward(rng.normal(size=(*rows, d)), **values)


CHECKS = [
    Check("forward", "forward looks up the row of each id", forwards),
    Check("backward", "backward returns (dw,), with each gradient in its row", backwards(repeated=False), after=("forward",)),
    Check("repeated", "a row that was looked up several times gets the sum", backwards(repeated=True), after=("backward",)),
    Check("shapes", "ids may have any number of axes, also none", shapes, after=("repeated",)),
    Check("reuse", "backward can be called twice on one cache", backwards(repeated=True, times=2), after=("repeated",)),
]

ADD = "add_at(dw, ids.reshape(-1), dy)"
MISTAKES = [mistake(name, advice, embedding, *edits) for name, advice, *edits in [
    ("repeated ids overwrite", "If an id comes twice, dw[ids] = … and dw[ids] += … keep the last one only. How do you get the sum?",
     (ADD, "dw[ids.reshape(-1)] = dy")),
    ("first of repeated ids only", "A row that was looked up several times gets the sum of all its gradients.",
     (ADD, "dw[ids.reshape(-1)[::-1]] = dy[::-1]")),
    ("mean over repeated ids", "A row that was looked up three times gets the sum of three gradients, not their mean.",
     (ADD, f"{ADD}\n    dw /= xp(dy).maximum(xp(dy).bincount(ids.reshape(-1), minlength=len(dw)), 1)[:, None]")),
    ("gradient in the order of the places", "Row r of dw belongs to id r, not to place r of the text.", (ADD, "dw[:len(dy)] = dy[:len(dw)]")),
    ("dw of the shape of dy", "dw is the gradient of the whole table w: it has w's shape, with zeros where no id came.",
     (ADD, "dw = dy.reshape(*ids.shape, -1)")),
    ("rows and channels swapped in forward", "An id picks a row of w: which axis of w is the vocabulary?",
     ("return w[ids], (ids, w)", "return w.T[ids % w.shape[1]], (ids, w)")),
    ("ids counted from 1", "Ids are counted from 0: id 0 is row 0.",
     ("return w[ids], (ids, w)", "return w[ids - 1], (ids, w)"), (ADD, "add_at(dw, ids.reshape(-1) - 1, dy)")),
    ("rows that never came get w", "Rows that were not looked up have no influence: their gradient is 0.",
     ("xp(dy).zeros(w.shape, dy.dtype)", "w.copy()")),
    ("dw multiplied with w", "dw is a sum of rows of dy alone; w itself doesn't enter.",
     (ADD, "add_at(dw, ids.reshape(-1), dy * w[ids.reshape(-1)])")),
]]
