"""Putting new tokens' keys and values into the cache of generation: cuda/kv_cache.cu."""

from typing import Any

from .launcher import Launcher
from .operation import blocks_for, contiguous

THREADS = 256


def store(launch: Launcher, keys: Any, values: Any, k: Any, v: Any, positions: Any) -> None:
    """keys, values (b, heads, slots, e): one layer's cache. k, v (b, t, heads, e): the new ones. positions (b, t): where their tokens stand;
    negative: not kept."""
    k, v, positions = contiguous(k), contiguous(v), contiguous(positions, "int64")
    pack = launch.pack(k.dtype, k.shape[-1], k, v, keys, values)
    launch("kv_cache.cu", "store", k.dtype, grid=blocks_for(k.size // pack, THREADS), block=THREADS, pack=pack,
           k=k, v=v, positions=positions, keys=keys, values=values)
