"""Attention of bfloat16 on tensor cores: cuda/flash_attention.cu."""

from typing import Any

from ..arrays import bfloat16
from .launcher import Launcher
from .operation import blocks_for

TILE, THREADS = 64, 128  # of a block; as in cuda/flash_attention.cu
STEP = 64                # rows that a block walks on by
SHORT_STEP = 32          # in backward of heads above 64, where twice as many sums fill the registers


def fits(launch: Launcher, q: Any, *others: Any) -> bool:
    """Whether the tensor cores can take these arrays: 16 channels are a piece of their products, and rows are copied 16 bytes at a time."""
    return q.dtype == bfloat16 and q.shape[-1] % 16 == 0 and launch.pack(q.dtype, q.shape[-1], q, *others) > 1


def flash_forward(launch: Launcher, **given: Any) -> None:
    (b, t, h, _) = given["q"].shape
    _run(launch, "flash_forward", (blocks_for(t, TILE), h, b), STEP, TILE, given)


def flash_backward(launch: Launcher, dq: Any, dk: Any, dv: Any, **given: Any) -> None:
    (b, t, h, e), (_, s, heads, _) = dq.shape, dk.shape
    step = STEP if e <= 64 else SHORT_STEP
    _run(launch, "flash_dq", (blocks_for(t, TILE), h, b), step, 2 * TILE, given | dict(dq=dq))
    _run(launch, "flash_dkv", (blocks_for(s, TILE), heads, b), step, 2 * TILE, given | dict(dk=dk, dv=dv))


def _run(launch: Launcher, kernel: str, grid: tuple, step: int, kept_rows: int, given: dict[str, Any]) -> None:
    """Beside the rows that a block keeps, its shared memory has two stages of two tiles to walk over."""
    e, dtype = given["q"].shape[-1], given["q"].dtype
    shared = (kept_rows + 4 * step) * (e + 8) * dtype.itemsize
    launch("flash_attention.cu", kernel, dtype, grid=grid, block=THREADS, shared=shared, pack=8, define={"HEAD": e, "STEP": step}, **given)
