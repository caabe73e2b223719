"""Sums of columns on cuda/column_sums.cu: the gradient of a bias."""

from typing import Any

from .launcher import Launcher
from .operation import blocks_for

ROWS_OF_CHUNK = 1024


def column_sums(launch: Launcher, x: Any, into: Any = None) -> Any:
    """The sums of the columns of x (rows, d), in float32; added to `into` if that is given."""
    if into is not None and not (into.flags.c_contiguous and into.dtype == "float32"):
        into += column_sums(launch, x).astype(into.dtype, copy=False)
        return into
    rows, d = x.shape
    chunks = blocks_for(rows, ROWS_OF_CHUNK)
    if chunks == 1:
        sums = launch.empty(x, (d,), "float32") if into is None else into
        _run(launch, x, sums.reshape(1, d), add=into is not None)
        return sums
    sums = launch.empty(x, (chunks, d), "float32")
    _run(launch, x, sums)
    return column_sums(launch, sums, into)


def _run(launch: Launcher, x: Any, sums: Any, add: bool = False) -> None:
    (rows, d), pack = x.shape, launch.pack(x.dtype, x.shape[1], x)
    launch("column_sums.cu", "column_sums", x.dtype, grid=(blocks_for(d // pack, 32), len(sums)), block=(32, 32), pack=pack,
           x=x, sums=sums, rows_of_chunk=ROWS_OF_CHUNK, add=int(add))
