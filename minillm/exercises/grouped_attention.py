"""What is asked of causal attention with shared keys, and what goes wrong."""

from math import sqrt

import numpy as np

from ..arrays import Any, Float
from .exercise import Check, backward as then_backward, forward as just_forward, mistake


def forward(q: Float[Any, "b t h e"], k: Float[Any, "b t k e"], v: Float[Any, "b t k e"]) -> tuple[Float[Any, "b t h e"], tuple]:
    """Causal attention of h query heads that share k key and value heads: query head i reads key head i // (h / k)."""
    (_, t, h, e), heads = q.shape, k.shape[2]
    reads = np.arange(h) // (h // heads)
    queries, keys, values = (x.transpose(0, 2, 1, 3) for x in (q, k[:, :, reads], v[:, :, reads]))
    scores = queries @ keys.swapaxes(-1, -2) / sqrt(e)
    scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    return (p @ values).transpose(0, 2, 1, 3), (queries, keys, values, p, heads)


def backward(dy: Float[Any, "b t h e"], cache: tuple) -> tuple[Float[Any, "b t h e"], Float[Any, "b t k e"], Float[Any, "b t k e"]]:
    """The gradients of q, k and v."""
    queries, keys, values, p, heads = cache
    b, t, h, e = dy.shape
    dy_ = dy.transpose(0, 2, 1, 3)
    dp = dy_ @ values.swapaxes(-1, -2)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / sqrt(e)
    dq = ds @ keys
    dkeys = ds.swapaxes(-1, -2) @ queries
    dvalues = p.swapaxes(-1, -2) @ dy_
    dk, dv = (x.transpose(0, 2, 1, 3).reshape(b, t, heads, h // heads, e).sum(axis=3) for x in (dkeys, dvalues))
    return dq.transpose(0, 2, 1, 3), dk, dv


FUNCTIONS = {"forward": forward, "backward": backward}

# (b, t, h, k, e): in each group of shapes the axes have different sizes somewhere, and h/k isn't k everywhere.
OWN = ((2, 4, 3, 3, 5), (1, 5, 2, 2, 2), (3, 1, 4, 4, 2))
SHARED = ((2, 4, 6, 3, 5), (1, 5, 6, 2, 3), (2, 3, 8, 4, 3))
ONE = ((2, 5, 4, 1, 3), (1, 3, 3, 1, 6))


def inputs(rng, b, t, h, k, e):
    return {"q": rng.normal(size=(b, t, h, e)), "k": rng.normal(size=(b, t, k, e)), "v": rng.normal(size=(b, t, k, e))}


def forwards(shapes):
    return lambda rng: (just_forward(**inputs(rng, *shape)) for shape in shapes)


def extremes(rng):
    """Scores of some thousands, whose exponential overflows, in float32 too: there such a score is rounded by 0.0002, and so are the weights."""
    for dtype in ("float64", "float32"):
        values = inputs(rng, 1, 5, 4, 2, 4)
        yield just_forward(**{name: (value * (1 if name == "v" else 35)).astype(dtype) for name, value in values.items()})


def backwards(shapes, times=1):
    return lambda rng: (then_backward(rng.normal(size=(b, t, h, e)), **inputs(rng, b, t, h, k, e), times=times) for b, t, h, k, e in shapes)


CHECKS = [
    Check("own_keys", "with as many key heads as query heads, each head attends for itself, to itself and the past", forwards(OWN)),
    Check("groups", "with fewer key heads, neighbouring query heads read the same one", forwards(SHARED), after=("own_keys",)),
    Check("one_key_head", "one key head serves all query heads", forwards(ONE), after=("own_keys",)),
    Check("extremes", "scores of thousands come out finite and right", extremes, after=("groups",), tolerance=2e-3),
    Check("backward", "backward returns dq, dk and dv where every head has its own keys", backwards(OWN), after=("own_keys",)),
    Check("backward_groups", "the gradients of shared keys and values collect what all their readers send", backwards(SHARED + ONE),
          after=("groups", "one_key_head", "backward")),
    Check("reuse", "backward can be called twice on one cache", backwards(SHARED, times=2), after=("backward_groups",)),
]

FORWARD_SCALE, BACKWARD_SCALE = "keys.swapaxes(-1, -2) / sqrt(e)", "keepdims=True)) / sqrt(e)"
HEADS_FIRST = "(x.transpose(0, 2, 1, 3) for x in (q, k[:, :, reads], v[:, :, reads]))"
TRIANGLE = "np.tri(t, dtype=bool)"
GROUP_SUM = ".reshape(b, t, heads, h // heads, e).sum(axis=3)"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("1/√e missing", "Are the scores divided by √e before the softmax?",
     (FORWARD_SCALE, FORWARD_SCALE.replace("sqrt(e)", "1")), (BACKWARD_SCALE, BACKWARD_SCALE.replace("sqrt(e)", "1"))),
    ("scaled by the model width", "Under the root stands the size of one head, not the width of all heads together.",
     (FORWARD_SCALE, FORWARD_SCALE.replace("(e)", "(e * h)")), (BACKWARD_SCALE, BACKWARD_SCALE.replace("(e)", "(e * h)"))),
    ("mask forgotten", "No position may see a later one: where is the causal mask?", (TRIANGLE, "True")),
    ("mask inverted", "Which positions does your mask leave: those up to its own, or the others?", (TRIANGLE, "np.tri(t, dtype=bool).T")),
    ("mask off by one: sees the next", "Does position i see position i + 1? That is the answer it is asked for.",
     (TRIANGLE, "np.tri(t, k=1, dtype=bool)")),
    ("mask off by one: blind to itself", "A position may see itself: without that, the first one sees nothing at all.",
     (TRIANGLE, "np.tri(t, k=-1, dtype=bool)")),
    ("softmax over the wrong axis", "Each query's weights must sum to 1. Which axis of the scores belongs to the keys?",
     ("scores.max(axis=-1, keepdims=True)", "scores.max(axis=-2, keepdims=True)"),
     ("p / p.sum(axis=-1, keepdims=True)", "p / p.sum(axis=-2, keepdims=True)")),
    ("reshaped where axes must be swapped", "(b, t, h, e) becomes (b, h, t, e) by a transpose. A reshape to that shape mixes heads and positions.",
     (HEADS_FIRST, "(np.ascontiguousarray(x).reshape(x.shape[0], x.shape[2], x.shape[1], x.shape[3]) for x in (q, k[:, :, reads], v[:, :, reads]))")),
    ("heads side by side in the wrong order", "The result is (b, t, h, e): swap the axes of heads and positions back, don't reshape.",
     ("return (p @ values).transpose(0, 2, 1, 3), (", "return (p @ values).reshape(q.shape), (")),
    ("all read the first key head",
     "Only key head 0 is read. Query head i reads key head i // g, where g = h / k is the size of a group, not the number of groups.",
     ("np.arange(h) // (h // heads)", "np.zeros(h, dtype=int)")),
    ("wrong group: h % k", "Neighbouring query heads share a key head: with h = 4 and k = 2 they read 0, 0, 1, 1, not 0, 1, 0, 1.",
     ("np.arange(h) // (h // heads)", "np.arange(h) % heads"), (GROUP_SUM, ".reshape(b, t, h // heads, heads, e).sum(axis=2)")),
    ("wrong group: i // k", "Query head i reads key head i // g, where g = h / k is the size of a group, not the number of groups.",
     ("np.arange(h) // (h // heads)", "np.arange(h) // heads")),
    ("overflow in exp", "e^x overflows for large x. Subtract each row's maximum first: it cancels.",
     ("np.exp(scores - scores.max(axis=-1, keepdims=True))", "np.exp(scores)")),
    ("dk and dv not summed over the group", "All query heads of a group read the same key, so its gradient is the sum of theirs.",
     (GROUP_SUM, ".reshape(b, t, heads, h // heads, e)[:, :, :, -1]")),
    ("mean over the group, not sum", "The gradients of all readers of a key add up; they aren't averaged.",
     (GROUP_SUM, ".reshape(b, t, heads, h // heads, e).mean(axis=3)")),
    ("gradients summed over the wrong heads", "The readers of key head j are neighbours: heads j·g to j·g + g − 1.",
     (GROUP_SUM, ".reshape(b, t, h // heads, heads, e).sum(axis=2)")),
    ("the row's sum forgotten", "ds = p ∘ dp is half of it: raising one score lowers all other weights of its row.",
     ("p * (dp - (dp * p).sum(axis=-1, keepdims=True))", "p * dp")),
    ("1/√e missing in backward", "The scores were divided by √e on the way forward. What happens to their gradient?",
     (BACKWARD_SCALE, BACKWARD_SCALE.replace("sqrt(e)", "1"))),
    ("dk from ds, not dsᵀ", "Key j was read by every later query i: dk_j is a sum over column j of ds.",
     ("ds.swapaxes(-1, -2) @ queries", "ds @ queries")),
]]
