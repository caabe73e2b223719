"""What is asked of SwiGLU, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float
from .exercise import Check, backward as then_backward, forward as just_forward, mistake


def forward(gate: Float[Any, "*rows f"], up: Float[Any, "*rows f"]) -> tuple[Float[Any, "*rows f"], tuple]:
    """The gate, through SiLU, opens and closes the way for `up`."""
    s = 1 / (1 + np.exp(-np.maximum(gate, -80)))         # further down e^−x would overflow float32
    return gate * s * up, (gate, up, s)


def backward(dy: Float[Any, "*rows f"], cache: tuple) -> tuple[Float[Any, "*rows f"], Float[Any, "*rows f"]]:
    """The gradients of gate and up."""
    gate, up, s = cache
    dgate = dy * up * s * (1 + gate * (1 - s))
    dup = dy * gate * s
    return dgate, dup


FUNCTIONS = {"forward": forward, "backward": backward}


def inputs(rng, *shape):
    return {"gate": rng.normal(0.3, 1.5, shape), "up": rng.normal(0.5, 1.2, shape)}


def forwards(rng):
    for shape in ((7,), (3, 5), (2, 3, 4), (1, 1)):
        yield just_forward(**inputs(rng, *shape))


def extremes(rng):
    """Gates of ±1,000, and of ±100 in float32, where e^100 overflows."""
    for dtype, size in (("float64", 1000.0), ("float32", 100.0)):
        gate, up = np.array([-size, -1.0, 0.0, 1.0, size]), rng.normal(size=5)
        yield just_forward(gate=gate.astype(dtype), up=up.astype(dtype))
        yield then_backward(rng.normal(size=5).astype(dtype), gate=gate.astype(dtype), up=up.astype(dtype))


def backwards(rng, times=1):
    for shape in ((7,), (3, 5), (2, 3, 4)):
        yield then_backward(rng.normal(size=shape), **inputs(rng, *shape), times=times)


CHECKS = [
    Check("forward", "forward multiplies up by SiLU of the gate", forwards),
    Check("backward", "backward returns dgate and dup", backwards, after=("forward",)),
    Check("extremes", "gates of any size come out finite and right, forward and backward", extremes, after=("forward", "backward")),
    Check("reuse", "backward can be called twice on one cache", lambda rng: backwards(rng, times=2), after=("backward",)),
]

SIGMOID, DGATE = "1 / (1 + np.exp(-np.maximum(gate, -80)))", "dgate = dy * up * s * (1 + gate * (1 - s))"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("gate and up swapped", "It is the gate that goes through SiLU; up is only multiplied.",
     ("gate * s * up, (gate, up, s)", "gate * s * up, (up, gate, s)"), (SIGMOID, SIGMOID.replace("gate", "up")),
     ("return dgate, dup", "return dup, dgate")),
    ("sigmoid for SiLU", "SiLU is x times its own sigmoid, not the sigmoid alone (that would be GLU).",
     ("return gate * s * up", "return s * up"), (DGATE, "dgate = dy * up * s * (1 - s)"), ("dup = dy * gate * s", "dup = dy * s")),
    ("SiLU without up", "SiLU of the gate still has to be multiplied by up.", ("return gate * s * up", "return gate * s")),
    ("SiLU of both", "Only the gate goes through SiLU.", ("return gate * s * up", "return gate * s * up / (1 + np.exp(-up))")),
    ("added, not multiplied", "A gate multiplies: it can close the way. A sum can't.", ("return gate * s * up", "return gate * s + up")),
    ("ReLU for SiLU", "SwiGLU's gate is SiLU; with ReLU it would be ReGLU.", ("return gate * s * up", "return np.maximum(gate, 0) * up")),
    ("sign in the sigmoid", "The sigmoid is 1/(1 + e^−x): it grows with x. Does yours?", (SIGMOID, "1 / (1 + np.exp(gate))")),
    ("overflow in exp",
     "e^1000 is infinite, and ∞/∞ is not a number. In which form of the sigmoid does only 1/∞ appear, or nothing infinite at all?",
     (SIGMOID, "np.exp(gate) / (1 + np.exp(gate))")),
    ("sigmoid's slope for SiLU's", "SiLU is a product of x and its sigmoid: the product rule gives two terms.",
     (DGATE, "dgate = dy * up * s * (1 - s)")),
    ("the product rule's first term alone", "SiLU is a product of x and its sigmoid: the product rule gives two terms.",
     (DGATE, "dgate = dy * up * s")),
    ("the product rule's second term alone", "SiLU is a product of x and its sigmoid: the product rule gives two terms.",
     (DGATE, "dgate = dy * up * gate * s * (1 - s)")),
    ("up missing in dgate", "The gate's SiLU was multiplied by up, so its gradient is, too.", (DGATE, DGATE.replace("dy * up * s", "dy * s"))),
    ("dup from the gate without SiLU", "up was multiplied by SiLU(gate), not by the gate.", ("dup = dy * gate * s", "dup = dy * gate")),
    ("dgate and dup swapped", "The gradients come in the order of forward's arguments: dgate, dup.", ("return dgate, dup", "return dup, dgate")),
]]
