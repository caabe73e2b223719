"""Dropout: in training, zero each number with probability `rate`, and scale the others up so that the mean stays.

    keep_i = word_i ≥ rate · 2³²              word_i: 32 random bits that belong to number i
    y      = x · keep / (1 − rate)
    dx     = dy · keep / (1 − rate)

The bits come from no generator with a state but from a formula (Philox 4x32-10, of Salmon et al. 2011): they are a function of
the key, the layer, the site in the layer, and the number's place in the whole batch. So the mask is the same for any number
of threads and slices, on any device, and again when activations are recomputed; backward makes it anew instead of keeping it.

The key and the place are ints, or arrays of one whole number that lie beside x: then a graph of launches on a GPU, made once, draws
another mask each time.
"""

from math import prod
from numbers import Integral

from ..arrays import Any, Float, Flops, Work, wide, xp

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85                   # the golden ratio and √3 − 1, in 32 bits
LOW = 0xFFFFFFFF                                     # the lower 32 of 64 bits


def philox(counter: tuple, key: Any) -> tuple:
    """Four arrays of 32 random bits, for a counter of four 32-bit words (uint64 arrays or ints) and a 64-bit key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key & LOW, key >> 32 & LOW
    for _ in range(ROUNDS):
        a, b = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = b >> 32 ^ c1 ^ k0, b & LOW, a >> 32 ^ c3 ^ k1, a & LOW
        k0, k1 = k0 + KEY_STEPS[0] & LOW, k1 + KEY_STEPS[1] & LOW
    return c0, c1, c2, c3


def mask(xp: Any, shape: tuple, rate: float, key: Any, layer: int, site: int, start: Any) -> Any:
    """True where a number is kept. One call of philox serves four neighbours: number i uses word i mod 4 of block ⌊i/4⌋."""
    n, key, start = prod(shape), unsigned(key), unsigned(start)
    first = start // 4
    block = first + xp.arange((n + 6) // 4, dtype="uint64")      # enough of them wherever in its block the first number stands
    words = philox((block & LOW, block >> 32, layer + 0 * block, site + 0 * block), key)
    words, skipped = xp.stack(words, axis=-1).reshape(-1), start - 4 * first
    words = words[skipped:][:n] if isinstance(start, int) else words[skipped.astype("int64") + xp.arange(n)]
    return (words >= round(rate * 2**32)).reshape(shape)


def unsigned(number: Any) -> Any:
    """An int, or an array of one number without axes, in 64 bits."""
    return int(number) if isinstance(number, Integral) else number.reshape(()).astype("uint64")


def forward(x: Float[Any, "*shape"], rate: float, key: Any, layer: int = 0, site: int = 0, start: Any = 0
            ) -> tuple[Float[Any, "*shape"], tuple]:
    """`start`: how many numbers of the whole batch come before x's first."""
    if not 0 <= rate < 1:
        raise ValueError(f"The dropout rate is the share of numbers to zero: at least 0 and below 1, not {rate}.")
    cache = (rate, key, layer, site, start)
    return dropped(x, *cache), cache


def backward(dy: Float[Any, "*shape"], cache: tuple) -> tuple:
    return (dropped(dy, *cache),)


def dropped(x: Float[Any, "*shape"], rate: float, *place: Any) -> Float[Any, "*shape"]:
    if rate == 0:
        return x
    kept = mask(xp(x), x.shape, rate, *place)
    return xp(x).where(kept, wide(x) * (1 / (1 - rate)), 0).astype(x.dtype, copy=False)


def flops(x: tuple, rate: float, key: Any, layer: int = 0, site: int = 0, start: Any = 0) -> Flops:
    """The integer arithmetic of the random bits isn't floating point, and isn't counted."""
    work = Work(elementwise=2 * prod(x) if rate else 0)
    return Flops(work, {"dx": work})
