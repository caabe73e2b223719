"""Attention of one query a row, as in generation, on cuda/decode.cu."""

from typing import Any

from .launcher import Launcher
from .operation import blocks_for, contiguous

LANES = 8                # threads that share a key; as in cuda/decode.cu
SLOTS = 16               # keys that a block looks at at a time
KEYS_OF_PART = 256       # keys of a block
MOST_TOGETHER = 4        # query heads that a block takes together
WARPS = 4                # of a block that puts parts together


def decode(launch: Launcher, y: Any, lse: Any, q: Any, k: Any, v: Any, num_keys: Any = None, **given: Any) -> None:
    """Fills y (b, 1, h, e) and lse (b, h, 1). k and v may be views of a cache: they are read where they are. num_keys (b): how many
    of a row's keys there are yet; None: all. `given`: as attention_forward's."""
    (b, _, h, e), (_, s, heads, _) = q.shape, k.shape
    k, v = (x if x.strides[-1] == x.itemsize else contiguous(x) for x in (k, v))
    q, together, parts = q.reshape(b, h, e), min(h // heads, MOST_TOGETHER), max(1, blocks_for(min(s, given["window"]), KEYS_OF_PART))
    pack = launch.pack(q.dtype, e, q, k, v, y)
    define = {"PACKS": blocks_for(e // pack, LANES), "GROUP": together}
    sums, tops, totals = (launch.empty(q, (b, h, parts, *last), "float32") for last in ((e,), (), ()))
    launch("decode.cu", "decode_parts", q.dtype, grid=(parts, heads * blocks_for(h // heads, together), b), block=SLOTS * LANES, pack=pack,
           define=define, q=q, k=k, v=v, num_keys=num_keys, sums=sums, tops=tops, totals=totals, keys_of_part=KEYS_OF_PART, **given)
    launch("decode.cu", "decode_whole", q.dtype, grid=blocks_for(b * h, WARPS), block=32 * WARPS, pack=pack, define=define,
           sums=sums, tops=tops, totals=totals, y=y.reshape(b, h, e), lse=lse)
