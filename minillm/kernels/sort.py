"""Ids in ascending order, on cuda/sort.cu. (CuPy's own sort makes the host wait, and can't be part of a CUDA graph.)"""

from typing import Any

from .launcher import Launcher
from .operation import blocks_for

BITS = 8                 # of a digit, by which ids are sorted in one go
CHUNK = 1024             # ids of a block


def sorted_rows(launch: Launcher, ids: Any, v: int) -> tuple[Any, Any]:
    """(rows, order), int32: rows[i] = ids[order[i]], ascending, equal ones in their order. Ids that aren't among 0 … v − 1 stand last, as v."""
    n, order = len(ids), None
    chunks, define = blocks_for(n, CHUNK), {"BITS": BITS, "CHUNK": CHUNK}
    for shift in range(0, v.bit_length(), BITS):
        given = dict(ids=ids, order=order, counts=launch.empty(ids, (chunks, 2**BITS), "int32"), v=v, shift=shift)
        launch("sort.cu", "count_digits", "float32", grid=chunks, block=2**BITS, define=define, **given)
        rows, order = (launch.empty(ids, (n,), "int32") for _ in range(2))
        launch("sort.cu", "place_by_digit", "float32", grid=chunks, block=2**BITS, define=define, **given, sorted_rows=rows, sorted_order=order)
    return rows, order
