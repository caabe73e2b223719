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
        return _launch(launch, "column_sums", x, into)
    sums = launch.empty(x, (chunks, d), "float32")
    launch("column_sums.cu", "column_sums", x.dtype, grid=(blocks_for(d, 32), chunks), block=(32, 32),
           x=x, sums=sums, rows_of_chunk=ROWS_OF_CHUNK, add=0)
    return _launch(launch, "column_sums_of_floats", sums, into)


def column_sums_of_floats(launch: Launcher, x: Any) -> Any:
    """The same for what a kernel has left in float32, whatever the model computes in."""
    return _launch(launch, "column_sums_of_floats", x, None)


def _launch(launch: Launcher, kernel: str, x: Any, into: Any) -> Any:
    rows, d = x.shape
    sums = launch.empty(x, (d,), "float32") if into is None else into
    launch("column_sums.cu", kernel, x.dtype, grid=blocks_for(d, 32), block=(32, 32),
           x=x, sums=sums.reshape(1, d), rows_of_chunk=rows, add=int(into is not None))
    return sums
