"""What is asked of one head of attention, and what goes wrong."""

from math import sqrt

import numpy as np

from ..arrays import Any, Float
from .exercise import Check, backward as then_backward, forward as just_forward, mistake


def forward(q: Float[Any, "t e"], k: Float[Any, "t e"], v: Float[Any, "t e"], causal: bool = True) -> tuple[Float[Any, "t e"], tuple]:
    """Every position takes the average of the values, weighted by how well its query fits the keys. `causal`: only over the keys of
    positions that are not after its own."""
    scores = q @ k.T / sqrt(q.shape[-1])
    if causal:
        position = np.arange(len(q))
        scores = np.where(position[:, None] >= position, scores, -np.inf)
    scores = scores - scores.max(axis=-1, keepdims=True)
    p = np.exp(scores)
    p = p / p.sum(axis=-1, keepdims=True)
    return p @ v, (q, k, v, p)


def backward(dy: Float[Any, "t e"], cache: tuple) -> tuple[Float[Any, "t e"], Float[Any, "t e"], Float[Any, "t e"]]:
    """The gradients of q, k and v."""
    q, k, v, p = cache
    dv = p.T @ dy
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    ds = ds / sqrt(q.shape[-1])
    return ds @ k, ds.T @ q, dv


FUNCTIONS = {"forward": forward, "backward": backward}


def inputs(rng, t, e):
    return {name: rng.normal(size=(t, e)) for name in "qkv"}


SHAPES = ((4, 3), (6, 6), (5, 9), (1, 4))


def forwards(causal):
    return lambda rng: (just_forward(**inputs(rng, *shape), options={"causal": causal}) for shape in SHAPES)


def extremes(rng):
    """Scores of some thousands, whose exponential overflows, in float32 too; all keys the same; and scores far below 0. In float32 such a score is rounded by
    0.0002, and so are the weights: hence the check's own tolerance."""
    values = inputs(rng, 5, 4)
    for dtype, causal in (("float64", False), ("float32", True)):
        large = {"q": values["q"] * 35, "k": values["k"] * 35, "v": values["v"]}
        yield just_forward(**{name: value.astype(dtype) for name, value in large.items()}, options={"causal": causal})
    yield just_forward(**{**values, "k": np.ones((5, 4))}, options={"causal": True})
    far_below = {"q": 20 * np.abs(values["q"]), "k": -20 * np.abs(values["k"])}          # all that may be seen scores less than some think −∞ is
    yield just_forward(**{**values, **far_below}, options={"causal": True})


def backwards(causal, times=1, shapes=SHAPES[:3]):
    return lambda rng: (then_backward(rng.normal(size=shape), **inputs(rng, *shape), options={"causal": causal}, times=times) for shape in shapes)


CHECKS = [
    Check("forward", "without a mask, forward averages all values by the softmax of the scores", forwards(causal=False)),
    Check("causal", "with the mask, no position sees a later one", forwards(causal=True), after=("forward",)),
    Check("extremes", "scores of thousands come out finite and right", extremes, after=("causal",), tolerance=2e-3),
    Check("backward", "backward returns dq, dk and dv, without a mask", backwards(causal=False), after=("forward",)),
    Check("backward_causal", "backward returns dq, dk and dv, with the mask", backwards(causal=True), after=("causal", "backward")),
    Check("reuse", "backward can be called twice on one cache", backwards(causal=True, times=2), after=("backward_causal",)),
]

SEEN = "position[:, None] >= position, scores, -np.inf"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("1/√e missing", "Are the scores divided by √e before the softmax?", ("q @ k.T / sqrt(q.shape[-1])", "q @ k.T"),
     ("ds = ds / sqrt(q.shape[-1])", "")),
    ("divided by e, not √e", "The scores are divided by the root of the head size, not by the head size.",
     ("k.T / sqrt(q.shape[-1])", "k.T / q.shape[-1]"), ("ds / sqrt(q.shape[-1])", "ds / q.shape[-1]")),
    ("scaled by the length", "Under the root stands the head size e, the number of columns of q, not the number of positions.",
     ("k.T / sqrt(q.shape[-1])", "k.T / sqrt(len(q))"), ("ds / sqrt(q.shape[-1])", "ds / sqrt(len(q))")),
    ("softmax over the wrong axis", "Each query's weights must sum to 1. Over which axis of the scores do you sum?",
     ("scores.max(axis=-1, keepdims=True)", "scores.max(axis=0, keepdims=True)"),
     ("p.sum(axis=-1, keepdims=True)", "p.sum(axis=0, keepdims=True)")),
    ("keys and queries swapped", "Row i of the scores belongs to query i, column j to key j.", ("q @ k.T", "k @ q.T")),
    ("mask forgotten", "With causal=True no position may see a later one.", (SEEN, SEEN.replace(">=", ">= -len(q) +"))),
    ("mask inverted", "Which positions does your mask leave: those up to its own, or the others?", (SEEN, SEEN.replace(">=", "<="))),
    ("mask off by one: sees the next", "Does position i see position i + 1? That is the answer it is asked for.",
     (SEEN, SEEN.replace(">=", ">= -1 +"))),
    ("mask off by one: blind to itself", "A position may see itself: without that, the first one sees nothing at all.",
     (SEEN, SEEN.replace(">=", ">"))),
    ("masked with a number, not −∞",
     "e⁰ is 1, so a score of 0 still gets weight, and so may any other number. What has to stand there so that e^… is 0?",
     (SEEN, SEEN.replace("-np.inf", "0"))),
    ("masked after the softmax", "If weights are removed after the softmax, the rest no longer sums to 1. Mask the scores.",
     (SEEN, "True, scores, -np.inf"), ("return p @ v, (", "p = np.tril(p) if causal else p\n    return p @ v, (")),
    ("overflow in exp", "e^x overflows for large x. Subtract each row's maximum first: it cancels.",
     ("scores - scores.max(axis=-1, keepdims=True)", "scores")),
    ("softmax's backward taken for diagonal", "Every score of a row changes every weight of the row: a sum over the row belongs into ds.",
     ("p * (dp - (dp * p).sum(axis=-1, keepdims=True))", "p * (1 - p) * dp")),
    ("the row's sum forgotten", "ds = p ∘ dp is half of it: raising one score lowers all other weights of its row.",
     ("p * (dp - (dp * p).sum(axis=-1, keepdims=True))", "p * dp")),
    ("1/√e missing in backward", "The scores were divided by √e on the way forward. What happens to their gradient?",
     ("ds = ds / sqrt(q.shape[-1])", "")),
    ("dk from ds, not dsᵀ", "Key j was read by every query i: dk_j is a sum over column j of ds.", ("ds.T @ q", "ds @ q")),
    ("dv from p, not pᵀ", "Value j went to every query i with weight p_ij: dv_j is a sum over column j of p.", ("p.T @ dy", "p @ dy")),
    ("dq and dk swapped", "The gradients come in the order of forward's arguments: dq, dk, dv.",
     ("return ds @ k, ds.T @ q, dv", "return ds.T @ q, ds @ k, dv")),
]]
