"""What a forward pass leaves behind for backward: most of a training step's memory.

>>> import numpy as np
>>> from minillm import Config, Transformer
>>> tokens = np.zeros((4, 16), int)                                       # b = 4, t = 16: 64 rows
>>> config = Config(vocab_size=100, d_model=32, num_layers=2, num_heads=4, d_ff=64, max_seq_len=16)
>>> model = Transformer(config)
>>> _, cache = model.forward(tokens, tokens)
>>> print(held(cache))
linear               65,536 bytes
attention            67,584 bytes
activation           98,304 bytes
norm                 42,240 bytes
rope                  2,048 bytes
embedding               512 bytes
loss                 20,992 bytes
total               297,216 bytes
>>> held(cache).by_part["layers.0.query"] == 64 * 32 * 4                  # the x of x · w; key and value share it
True
>>> _, cache = model.forward(tokens, tokens, recompute=True)              # of each block only its input: b · t · d
>>> held(cache).by_op["block input"] == 2 * 64 * 32 * 4
True
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..model.parameters import Parameters
from ..model.transformer import Cache

# The operation behind the name of a part, where the two differ; norm is rmsnorm or layernorm, activation swiglu, gelu or relu.
OPERATIONS = {
    "linear": ("query", "key", "value", "attention_output", "gate", "up", "down"),
    "attention": ("attention",),
    "activation": ("activation",),
    "norm": ("attention_norm", "feed_forward_norm", "final_norm"),
    "rope": ("query_rope", "key_rope"),
    "dropout": ("attention_dropout", "feed_forward_dropout"),
}
OPERATION_OF = {part: op for op, parts in OPERATIONS.items() for part in parts}


@dataclass(frozen=True)
class Held:
    """Bytes by the name of the part ("layers.0.query") that needs them. What several parts need is booked once, to the first."""

    by_part: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_part.values())

    @property
    def by_op(self) -> dict[str, int]:
        sums = dict.fromkeys(OPERATIONS, 0)
        for part, size in self.by_part.items():
            op = operation(part)
            sums[op] = sums.get(op, 0) + size
        return {op: size for op, size in sums.items() if size}

    def __str__(self) -> str:
        return "\n".join(f"{op:16}{size:11,} bytes" for op, size in [*self.by_op.items(), ("total", self.total)])


def held(cache: Any, params: Parameters | None = None) -> Held:
    """What a cache keeps alive: of every array the whole buffer that it is a view of, each buffer once. Parameters don't count, since
    they would be there anyway: a Transformer's cache knows them (of a 16-bit model, the 16-bit copy), for others give `params`."""
    parts = cache
    if isinstance(cache, Cache):
        parts, params = {**cache.parts, "context": cache.context}, cache.params
    seen = set() if params is None else {id(buffer(params.flat))}
    by_part = {}
    for part, array in arrays(parts):
        whole = buffer(array)
        if id(whole) not in seen:
            seen.add(id(whole))
            by_part[part] = by_part.get(part, 0) + whole.nbytes
    return Held(by_part)


def arrays(cache: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every array in nested dicts and tuples, with the keys that lead to it: (layers.0.query, array)."""
    if isinstance(cache, Mapping):
        for key, value in cache.items():
            yield from arrays(value, f"{name}.{key}".lstrip("."))
    elif isinstance(cache, (tuple, list)):
        for value in cache:
            yield from arrays(value, name)
    elif hasattr(cache, "nbytes") and not isinstance(cache, np.generic):
        yield name, cache


def buffer(array: Any) -> Any:
    """The array that owns the memory."""
    while hasattr(getattr(array, "base", None), "nbytes"):
        array = array.base
    return array


def operation(part: str) -> str:
    if part.startswith("layers.") and part.count(".") == 1:
        return "block input"
    last = part.rpartition(".")[2]
    return OPERATION_OF.get(last, last)
