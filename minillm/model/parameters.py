"""All parameters of a model in one flat array, each a named view into it; and what they start from.

One array, so that the optimizer, the norm of the gradient and a checkpoint are one sweep each. Every view starts at a multiple of 128
numbers, so of 256 bytes or more (a GPU reads such addresses fastest), and at the same number in every dtype: the 16-bit copy of the
float32 masters is one sweep too. The gaps between are zeros, which stay zeros and are not counted as parameters. The matrices come first,
then the vectors (norms and biases), so that "weight decay on matrices only" is one slice.
"""

from collections.abc import Iterator, Mapping
from math import prod, sqrt
from types import ModuleType
from typing import Any

import numpy as np

from ..arrays import Float
from .config import Config

ALIGNMENT = 256     # bytes, of the flat array
UNIT = 128          # numbers, of every view in it


class Parameters(Mapping):
    """Named views of one flat array; a mapping from name to array. Gradients and moments have the same form."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype: Any = "float32", xp: ModuleType = np):
        self.shapes, self.dtype, self.xp = shapes, np.dtype(dtype), xp
        starts, end = {}, 0
        self.num_matrix_numbers = 0             # where the vectors begin
        for name, shape in shapes.items():
            starts[name] = end
            end += taken(shape)
            if len(shape) > 1:
                self.num_matrix_numbers = end
        self.flat = aligned_zeros(end, self.dtype, xp)
        self.views = {name: self.flat[start:start + prod(shapes[name])].reshape(shapes[name]) for name, start in starts.items()}
        self.layers: dict[int, dict] = {}       # of each block, without the prefix "layers.3."
        for name, view in self.views.items():
            if name.startswith("layers."):
                _, number, rest = name.split(".", 2)
                self.layers.setdefault(int(number), {})[rest] = view

    def __getitem__(self, name: str) -> Float[Any, "..."]:
        return self.views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.views)

    def __len__(self) -> int:
        return len(self.views)

    def zeros(self, dtype: Any = None) -> "Parameters":
        """A collection of the same names and shapes, all zero."""
        return Parameters(self.shapes, dtype or self.dtype, self.xp)


def taken(shape: tuple[int, ...]) -> int:
    """How many numbers of the flat array a view takes, with the gap behind it."""
    return -(-prod(shape) // UNIT) * UNIT


def aligned_zeros(size: int, dtype: np.dtype, xp: ModuleType) -> Float[Any, "n"]:
    if xp is not np:
        return xp.zeros(size, dtype)            # a GPU's allocator aligns by itself
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + size * dtype.itemsize].view(dtype)


def initialise(params: Parameters, config: Config, seed: int) -> None:
    """Norm weights 1, biases 0, and the matrices drawn from normal distributions with a standard deviation of

    gpt2     0.02; positions 0.01; the two matrices that write to the residual stream (attention_output and down) 0.02 / √(2 layers),
             so that the stream's variance doesn't grow with depth (Radford et al. 2019)
    fan_in   1/√(rows read), which keeps a vector's length through every matrix; the two writing matrices divided by √(2 layers) too;
             embeddings and an untied output 0.02
    """
    rng = np.random.default_rng(seed)
    for name, view in params.items():
        part, kind = name.split(".")[-2:]
        if kind == "bias":
            continue
        if view.ndim == 1:
            view[...] = 1
            continue
        deviation = 0.01 if part == "positions" else 0.02
        if config.initialisation == "fan_in" and part not in ("embedding", "positions", "output"):
            deviation = 1 / sqrt(view.shape[0])
        if part in ("attention_output", "down"):
            deviation /= sqrt(2 * config.num_layers)
        view[...] = params.xp.asarray(rng.standard_normal(view.shape, np.float32 if params.dtype != np.float64 else np.float64)) * deviation
