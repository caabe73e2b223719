"""What is asked of RoPE, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float, Int
from .exercise import Check, backward as then_backward, forward as just_forward, mistake


def forward(x: Float[Any, "b t h e"], positions: Int[Any, "t"], theta: float = 10_000.0) -> tuple[Float[Any, "b t h e"], tuple]:
    """Turns each pair of channels (j, j + e/2) by an angle that grows with the position."""
    pairs = x.shape[-1] // 2
    f = theta ** (-2 * np.arange(pairs) / x.shape[-1])
    a = positions[:, None, None] * f
    cos, sin = np.cos(a), np.sin(a)
    x1, x2 = x[..., :pairs], x[..., pairs:]
    y = np.concatenate([x1 * cos - x2 * sin, x1 * sin + x2 * cos], axis=-1)
    return y, (cos, sin)


def backward(dy: Float[Any, "b t h e"], cache: tuple) -> tuple[Float[Any, "b t h e"]]:
    """(dx,): the same turn, backwards."""
    cos, sin = cache
    pairs = dy.shape[-1] // 2
    dy1, dy2 = dy[..., :pairs], dy[..., pairs:]
    dx = np.concatenate([dy1 * cos + dy2 * sin, dy2 * cos - dy1 * sin], axis=-1)
    return (dx,)


FUNCTIONS = {"forward": forward, "backward": backward}


def inputs(rng, b, t, h, e, positions=None):
    values = {"x": rng.normal(size=(b, t, h, e)), "positions": np.arange(t) if positions is None else positions}
    return values, {"theta": float(rng.uniform(20, 200))}


def forwards(rng):
    """θ is small, so that all pairs turn visibly."""
    for shape in ((2, 4, 3, 6), (1, 5, 2, 8), (2, 3, 4, 4)):
        values, options = inputs(rng, *shape)
        yield just_forward(**values, options=options)


def one_pair(rng):
    values, options = inputs(rng, 2, 3, 2, 2)
    yield just_forward(**values, options=options)


def placed(rng):
    """Positions with gaps, in any order, far from 0; and one alone, as when a cache holds the rest."""
    for positions in (np.array([3, 0, 7, 7, 2]), np.array([41]), np.arange(100, 104)):
        values, options = inputs(rng, 2, len(positions), 2, 6, positions)
        yield just_forward(**values, options=options)


def default_theta(rng):
    yield just_forward(**inputs(rng, 1, 6, 2, 8)[0])
    yield just_forward(**inputs(rng, 1, 6, 2, 8)[0], options={"theta": 500_000.0})


def backwards(rng, times=1):
    for shape in ((2, 4, 3, 6), (1, 5, 2, 8)):
        values, options = inputs(rng, *shape, positions=rng.integers(0, 20, shape[1]))
        yield then_backward(rng.normal(size=shape), **values, options=options, times=times)


CHECKS = [
    Check("forward", "forward turns each pair of channels by its angle", forwards),
    Check("one_pair", "a head of one pair turns by the position itself", one_pair, after=("forward",)),
    Check("positions", "the angle comes from the positions handed in, not from the place in the array", placed, after=("forward",)),
    Check("theta", "theta is 10,000 unless given, and heeded if it is", default_theta, after=("forward",)),
    Check("backward", "backward turns the gradient back", backwards, after=("positions",)),
    Check("reuse", "backward can be called twice on one cache", lambda rng: backwards(rng, times=2), after=("backward",)),
]

EXPONENT, ANGLE = "theta ** (-2 * np.arange(pairs) / x.shape[-1])", "positions[:, None, None] * f"
TURN, BACK = "[x1 * cos - x2 * sin, x1 * sin + x2 * cos]", "[dy1 * cos + dy2 * sin, dy2 * cos - dy1 * sin]"
PAIRS, DPAIRS = "x1, x2 = x[..., :pairs], x[..., pairs:]", "dy1, dy2 = dy[..., :pairs], dy[..., pairs:]"
INTERLEAVED = f"np.stack({TURN}, axis=-1).reshape(x.shape)", f"np.stack({BACK}, axis=-1).reshape(dy.shape)"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("backward turns the same way", "The gradient must be turned back: a rotation's transpose is its inverse.",
     (BACK, "[dy1 * cos - dy2 * sin, dy2 * cos + dy1 * sin]")),
    ("pairs interleaved", "A pair is channel j with channel j + e/2 here, not 2j with 2j + 1.",
     (PAIRS, "x1, x2 = x[..., 0::2], x[..., 1::2]"), (DPAIRS, "dy1, dy2 = dy[..., 0::2], dy[..., 1::2]"),
     (f"np.concatenate({TURN}, axis=-1)", INTERLEAVED[0]), (f"np.concatenate({BACK}, axis=-1)", INTERLEAVED[1])),
    ("the rotation goes the wrong way", "The minus stands in the first half: y₁ = x₁ cos a − x₂ sin a.",
     (TURN, "[x1 * cos + x2 * sin, x2 * cos - x1 * sin]"), (BACK, "[dy1 * cos - dy2 * sin, dy2 * cos + dy1 * sin]")),
    ("angle index from 1", "The pairs count from 0: the first one turns by the position itself.",
     (EXPONENT, "theta ** (-2 * (np.arange(pairs) + 1) / x.shape[-1])")),
    ("positions from 1", "The positions are handed in as they are: position 0 isn't turned at all.", (ANGLE, "(positions[:, None, None] + 1) * f")),
    ("θ over the model width", "The exponent runs over the size of one head, not over the width of all heads.",
     (EXPONENT, "theta ** (-2 * np.arange(pairs) / (x.shape[-1] * x.shape[-2]))")),
    ("exponent without the 2", "f_j = θ^(−2j/e): j counts pairs, so −2j/e goes down to almost −1.",
     (EXPONENT, "theta ** (-np.arange(pairs) / x.shape[-1])")),
    ("exponent with the wrong sign", "Later pairs turn more slowly: the exponent is negative.",
     (EXPONENT, "theta ** (2 * np.arange(pairs) / x.shape[-1])")),
    ("all pairs turn alike", "Each pair has a frequency of its own, f_j.", (ANGLE, "positions[:, None, None] * f[:1] ** 0 * np.ones(pairs)")),
    ("sine and cosine swapped", "At position 0 nothing may change: there cos a = 1 and sin a = 0.",
     ("cos, sin = np.cos(a), np.sin(a)", "cos, sin = np.sin(a), np.cos(a)")),
    ("both halves with a minus", "A rotation has one minus and one plus; else lengths change.",
     (TURN, "[x1 * cos - x2 * sin, x2 * cos - x1 * sin]")),
    ("heads turned instead of positions", "The angle belongs to the axis of positions, (b, t, h, e): does it line up with that of heads?",
     (ANGLE, "np.arange(x.shape[2])[:, None] * f")),
    ("positions ignored", "The positions are handed in: they need not be 0, 1, 2, …", (ANGLE, "np.arange(x.shape[1])[:, None, None] * f")),
    ("theta ignored", "Does theta reach the frequencies?", (EXPONENT, "10_000.0 ** (-2 * np.arange(pairs) / x.shape[-1])")),
    ("backward hands dy through", "Every y depends on both channels of its pair.", ("return (dx,)", "return (dy,)")),
]]
