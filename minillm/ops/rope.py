"""RoPE: turn each pair of channels by an angle that grows with the position, so that scores see only distances.

    f_j     = θ^(−2j/e)                          j = 0 … e/2 − 1: fast pairs first, slow pairs last (e channels, θ = 10,000, say)
    a       = position · f_j                     the angle of pair j
    y₁      = x₁ cos a − x₂ sin a                (x₁, x₂) is pair j of a head
    y₂      = x₁ sin a + x₂ cos a
    dx₁     = dy₁ cos a + dy₂ sin a              the same turn, backwards: a rotation's transpose is its inverse
    dx₂     = −dy₁ sin a + dy₂ cos a

With R(a) for the turn by a, a query at position p and a key at position s have the product
(R(pf) q) · (R(sf) k) = q · R((s − p)f) k: the positions enter only as their distance. Queries and keys are turned, values are not.
Which channels make a pair is a convention that must match the weights: "half" pairs channel j with j + e/2 (Hugging Face),
"interleaved" pairs 2j with 2j + 1 (Meta's code and the paper).

A model trained on short texts can be stretched to longer ones by slowing the turns: all of them (LinearScaling), or
those wholly that were too slow to complete a turn in training, and those in part that made only a few (Llama3Scaling).
"""

from math import pi, prod
from typing import NamedTuple

from ..arrays import Any, Float, Flops, Int, Work, wide, xp


class LinearScaling(NamedTuple):
    factor: float

    work = 1        # floating-point operations of `slowed`, for each pair

    def slowed(self, f: Float[Any, "pairs"]) -> Float[Any, "pairs"]:
        return f / self.factor


class Llama3Scaling(NamedTuple):
    """Pairs that turn more than `high_freq_factor` times within the original context stay as they are, those that turn less
    than `low_freq_factor` times are slowed by `factor`, and those between are mixed in proportion."""

    factor: float = 8.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_seq_len: int = 8192

    work = 9

    def slowed(self, f: Float[Any, "pairs"]) -> Float[Any, "pairs"]:
        turns = self.original_max_seq_len * f / (2 * pi)
        kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        kept = xp(f).clip(kept, 0, 1)
        return f * (kept + (1 - kept) / self.factor)


def frequencies(np: Any, e: int, theta: float, scaling: LinearScaling | Llama3Scaling | None) -> Float[Any, "pairs"]:
    """How fast each pair turns, in an array of the module `np`."""
    f = theta ** (np.arange(e // 2, dtype="float64") * (-2 / e))
    return f if scaling is None else scaling.slowed(f)


def cos_and_sin(positions: Int[Any, "*b t"], e: int, theta: float, scaling: LinearScaling | Llama3Scaling | None, dtype: Any
                ) -> tuple[Float[Any, "*b t 1 pairs"], Float[Any, "*b t 1 pairs"]]:
    """Made in float64: at position 100,000 a float32 angle is already wrong in its third decimal."""
    a = positions[..., None, None] * frequencies(xp(positions), e, theta, scaling)
    return xp(a).cos(a).astype(dtype), xp(a).sin(a).astype(dtype)


def halves(x: Float[Any, "*bth e"], pairing: str) -> tuple[Float[Any, "*bth pairs"], Float[Any, "*bth pairs"]]:
    """The first and the second channel of every pair, as views."""
    if pairing == "half":
        return x[..., :x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    if pairing == "interleaved":
        return x[..., 0::2], x[..., 1::2]
    raise ValueError(f'RoPE pairs channels as "half" (j with j + e/2) or "interleaved" (2j with 2j + 1), not as {pairing!r}.')


def turned(x: Float[Any, "b t h e"], cos: Any, sin: Any, pairing: str) -> Float[Any, "b t h e"]:
    y = xp(x).empty(x.shape, x.dtype)
    (x1, x2), (y1, y2) = halves(wide(x), pairing), halves(y, pairing)
    y1[...] = (x1 * cos - x2 * sin).astype(y.dtype, copy=False)
    y2[...] = (x1 * sin + x2 * cos).astype(y.dtype, copy=False)
    return y


def forward(x: Float[Any, "b t h e"], positions: Int[Any, "t"] | Int[Any, "b t"] | None = None, theta: float = 10_000.0,
            pairing: str = "half", scaling: LinearScaling | Llama3Scaling | None = None
            ) -> tuple[Float[Any, "b t h e"], tuple]:
    """`positions`: 0, 1, 2, … unless given."""
    if x.shape[-1] % 2:
        raise ValueError(f"RoPE turns pairs of channels, so the head size must be even, not {x.shape[-1]}.")
    if positions is None:
        positions = xp(x).arange(x.shape[1])
    cos, sin = cos_and_sin(positions, x.shape[-1], theta, scaling, wide(x).dtype)
    return turned(x, cos, sin, pairing), (cos, sin, pairing)


def backward(dy: Float[Any, "b t h e"], cache: tuple) -> tuple:
    cos, sin, pairing = cache
    return (turned(dy, cos, -sin, pairing),)


def flops(x: tuple, positions: tuple | None = None, theta: float = 10_000.0, pairing: str = "half", scaling: Any = None) -> Flops:
    pairs = x[-1] // 2
    angles, frequencies = prod(positions or x[1:2]) * pairs, (2 + (scaling.work if scaling else 0)) * pairs
    return Flops(Work(elementwise=3 * prod(x) + 3 * angles + frequencies), {"dx": Work(elementwise=3 * prod(x) + angles)})
