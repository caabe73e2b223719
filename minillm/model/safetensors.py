"""The safetensors format: tensors by name, read through a memory map, written as a stream.

    8 bytes     n, the length of the header: an unsigned integer, little-endian
    n bytes     the header, JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …}
    the rest    the numbers of one tensor after another, row by row; offsets count from here, and leave no gap

There is nothing in such a file but names and numbers: reading one can't run anybody's code. It can lie, though. So the whole header is
checked against the size of the file before a single number is read, and whoever asks for a tensor knows that it is there.
"""

import json
from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Float, bfloat16
from ..files import parse_json, quoted

FLOATS = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": bfloat16}
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
         "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}
LONGEST_HEADER = 100_000_000                     # bytes; the format's own limit


class Stored(NamedTuple):
    """A tensor in a file: what it is and where it lies."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int                                   # bytes from the beginning of the file

    def array(self) -> Float[Any, "..."]:
        """The numbers, as a map of the file: pages are read when touched, and given back when the array goes."""
        return np.memmap(self.path, FLOATS[self.dtype], "r", self.start, self.shape)


def read_header(path: Path) -> dict[str, Stored]:
    """All tensors of a file, or a sentence about what is wrong with it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError(f"{path} is truncated, or no safetensors file: it has {size} bytes, and its header alone should have {length}.")
        if length > LONGEST_HEADER:
            raise ValueError(f"{path} is no safetensors file: its header should have {length} bytes, and {LONGEST_HEADER} are allowed.")
        header = parse_json(file.read(length), f"{path}: the header")
    if not isinstance(header, dict):
        raise ValueError(f"{path}: the header must be a JSON object with a tensor for each name, not {quoted(header)}.")
    header.pop("__metadata__", None)
    start = 8 + length
    tensors = {name: _stored(path, name, entry, start, size) for name, entry in header.items()}
    _refuse_gaps(path, tensors, start, size)
    return tensors


def _stored(path: Path, name: str, entry: Any, start: int, size: int) -> Stored:
    """One entry of the header, checked by itself."""
    what = f"{path}: the header's entry for {quoted(name)}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{what} must have dtype, shape and data_offsets, and nothing else; it is {quoted(entry)}.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise ValueError(f"{what} has the dtype {quoted(dtype)}, which isn't one of {', '.join(BYTES)}.")
    for values in (shape, offsets):
        if not isinstance(values, list) or len(values) > 64 or not all(type(n) is int and 0 <= n < 2**63 for n in values):
            raise ValueError(f"{what} should have lists of whole numbers, none negative, as shape and data_offsets, "
                             f"not {quoted(shape)} and {quoted(offsets)}.")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"{what} should have [begin, end] as data_offsets, not {quoted(offsets)}.")
    begin, end = offsets
    if prod(shape) * BYTES[dtype] != end - begin:
        raise ValueError(f"{what} gives {end - begin} bytes to a tensor of shape {shape} and dtype {dtype}, "
                         f"which has {prod(shape) * BYTES[dtype]}.")
    if start + end > size:
        raise ValueError(f"{path} is truncated: {quoted(name)} should end at byte {start + end}, and the file ends at {size}.")
    return Stored(path, dtype, tuple(shape), start + begin)


def _refuse_gaps(path: Path, tensors: dict[str, Stored], start: int, size: int) -> None:
    """The tensors must fill the file: each begins where another ends."""
    end, last = start, "the header"
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, prod(item[1].shape))):
        if tensor.start != end:
            fault = "overlaps with" if tensor.start < end else "leaves a gap after"
            raise ValueError(f"{path}: the header lies: {quoted(name)} {fault} {quoted(last) if last in tensors else last}.")
        end, last = end + prod(tensor.shape) * BYTES[tensor.dtype], name
    if end != size:
        raise ValueError(f"{path} has {size - end} bytes after the last tensor that its header knows: it is damaged, or something was added.")


class Written(NamedTuple):
    """A tensor to be written; made only when its turn comes, so that no two need be in memory."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[], Float[np.ndarray, "..."]]


def write(path: Path, tensors: Iterable[Written], dtype: str) -> None:
    """One file of tensors, all in one of the FLOATS."""
    header, end, tensors = {"__metadata__": {"format": "pt"}}, 0, list(tensors)     # transformers asks for this word
    for name, shape, _ in tensors:
        begin, end = end, end + prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)              # so that the numbers begin at a multiple of 8 bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            array = np.ascontiguousarray(rounded(tensor.name, tensor.make(), FLOATS[dtype]))
            if array.shape != tensor.shape:
                raise ValueError(f"{tensor.name} was announced with the shape {tensor.shape} but has {array.shape}.")
            file.write(array.reshape(-1).view(np.uint8).data)


def rounded(name: str, array: Float[np.ndarray, "..."], dtype: np.dtype) -> Float[np.ndarray, "..."]:
    """The array in another dtype, if all its numbers fit there."""
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype, copy=False)
    if dtype.itemsize < array.dtype.itemsize and np.isinf(narrow).any() and not np.array_equal(np.isinf(narrow), np.isinf(array)):
        largest = np.abs(array[np.isfinite(array)]).max()
        raise ValueError(f"{name} holds a number of size {largest:.6g}, too large for {dtype}: save in a wider dtype.")
    return narrow
