"""Generation on a GPU. The step for one new token a row is the same work every time, on arrays that never change their size or their place:
so it can be recorded once, as a CUDA graph, and be replayed (kernels/repeated.py). What changes from token to token lies in device memory.

cache.py and reader.py are the readable truth; what differs here:

    rows       a row of the cache is its text's alone: token p lies in slot p mod slots. So there is no padding among the keys, and no mask:
               a token and its position, two numbers a row, are all that a step has to be told
    keys       a text has min(p + 1, slots) of them. Attention is told p + 1, by an array (num_keys), and doesn't look at the slots behind
    prompts    are padded at their ends, where a causal model doesn't look, and read without being recorded
    host       sends 16 bytes a row, and waits once a token: for the logits, v numbers a row, of which it draws as on the CPU

A text that has grown past the context is read anew into the same cache.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Float, Int, place, rows_of
from ..kernels.attention import Attention
from ..kernels.kv_cache import store
from ..kernels.operation import DTYPES
from ..kernels.repeated import Repeated
from ..model import Config
from ..model.branches import Context
from .reader import Reader


def on_kernels(model: Any) -> bool:
    """Whether the model runs on a table of kernels, in a precision that they know: then this file can serve it."""
    return isinstance(model.ops.attention, Attention) and model.dtype in DTYPES


class FixedCache:
    """As KVCache: context = cache.begin_…(…); the blocks then call cache.extend, once a layer."""

    def __init__(self, config: Config, num_rows: int, slots: int, dtype: Any, launch: Any, xp: Any):
        shape = (config.num_layers, num_rows, config.num_kv_heads, slots, config.head_size)
        self.keys, self.values = xp.zeros(shape, dtype), xp.zeros(shape, dtype)
        self.slots, self.launch, self.xp = slots, launch, xp
        self.positions, self.first = None, True         # of this pass: where its tokens stand, and whether texts begin with it

    def begin_texts(self, lengths: Sequence[int]) -> Context:
        """Whole texts, padded at their ends. The last `slots` tokens of each are kept."""
        position, length = np.arange(max(lengths)), np.array(lengths)[:, None]
        kept = (position < length) & (position >= length - self.slots)
        self.positions, self.first = self.xp.asarray(np.where(kept, position, -1)), True
        return Context(past=self)

    def begin_token(self, positions: Int[Any, "b 1"]) -> Context:
        self.positions, self.first = positions, False
        return Context(positions=positions, num_keys=positions[:, 0] + 1, past=self)

    def extend(self, layer: int, k: Float[Any, "b t k e"], v: Float[Any, "b t k e"]
               ) -> tuple[Float[Any, "b s k e"], Float[Any, "b s k e"], None]:
        """Stores a layer's new keys and values; returns all that the new queries may need."""
        store(self.launch, self.keys[layer], self.values[layer], k, v, self.positions)
        return (k, v, None) if self.first else (self.keys[layer].swapaxes(1, 2), self.values[layer].swapaxes(1, 2), None)


class Shared:
    """An array on the GPU, `there`, and pinned memory of the host, `here`, for going to and fro. On NumPy's arrays they are one."""

    def __init__(self, xp: Any, shape: tuple, dtype: Any):
        self.there = self.here = xp.zeros(shape, dtype)
        if xp is not np:
            import cupyx
            self.here, self.arrived = cupyx.empty_pinned(shape, dtype), xp.cuda.Event(disable_timing=True)

    def send(self) -> None:
        """What is here will be there by the time that the GPU comes to it. Until then nothing here may be changed."""
        if self.here is not self.there:
            self.there.set(self.here)

    def fetch(self) -> np.ndarray:
        """Waits until what is there is here."""
        if self.here is not self.there:
            self.there.get(out=self.here, blocking=False)
            self.arrived.record()
            self.arrived.synchronize()
        return self.here


class GPUReader(Reader):
    """Reader, for a model that runs on kernels. What it returns are the same logits, in one array that the next token's will overwrite."""

    def __init__(self, model: Any, texts: Sequence[Sequence[int]], room: int):
        super().__init__(model, texts, room)
        config, b = model.config, len(texts)
        longest = max(map(len, texts)) + room
        slots = min(longest, self.limit or longest, config.sliding_window or longest)
        self.cache = cache = FixedCache(config, b, slots, model.dtype, model.ops.launch, model.xp)
        self.given = given = Shared(model.xp, (2, b), "int64")          # the new tokens, and their positions
        self.logits = logits = Shared(model.xp, (b, config.vocab_size), model.dtype)
        params = self.params

        def step() -> None:              # a function of these arrays and not of the reader: so both are gone as soon as nobody reads
            tokens, positions = given.there[0][:, None], given.there[1][:, None]
            n, _ = model.read(tokens, params, cache.begin_token(positions), keep="nothing")
            logits.there[...] = of_last(model, params, n[:, 0])

        self.step = Repeated(step, model.xp)

    def read(self) -> Float[Any, "b v"]:
        """Reads the texts from their beginnings."""
        lengths, model, xp = list(map(len, self.texts)), self.model, self.model.xp
        longest = max(lengths)
        tokens = xp.asarray([text + [0] * (longest - len(text)) for text in self.texts])
        n, _ = model.read(tokens, self.params, self.cache.begin_texts(lengths), keep="nothing")
        last = xp.asarray([row * longest + length - 1 for row, length in enumerate(lengths)])
        n, _ = model.ops.embedding.forward(last, rows_of(n))             # a look-up, here of each text's last vector
        self.logits.there[...] = of_last(model, self.params, n)
        return self.logits.fetch()

    def next_logits(self, tokens: Sequence[Sequence[int]]) -> Float[Any, "b v"]:
        self.given.here[0] = [token for token, in tokens]
        self.given.here[1] = [len(text) - 1 for text in self.texts]
        self.given.send()
        self.step()
        return self.logits.fetch()


def of_last(model: Any, params: Any, n: Float[Any, "b d"]) -> Float[Any, "b v"]:
    """The logits after the last token of every text, from its vector."""
    with place("output"):
        return model.ops.linear.forward(n, model.output_matrix(params).T)[0]
