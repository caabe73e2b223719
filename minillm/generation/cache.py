"""The keys and values of the tokens read so far, so that a new token costs one row of work and not the whole text again.

A causal model's keys and values at a position never change afterwards: what comes later can't be seen from there. So they are
kept, and the next token's query attends to them. Cached logits are therefore the uncached ones, up to rounding.

    columns    every pass adds t columns to all rows of a batch: the tokens number count … count + t − 1. Rows of unequal length
               are aligned at their ends; pads[i] columns before row i's first token are padding
    slots      the columns that are kept: all, or with a sliding window the last `window`. Column c lies in slot c mod slots, a
               ring: a new column overwrites the one that has just left the window
    memory     2 · layers · b · k · slots · e numbers: sized by the key heads (which grouped queries share) and by the window

Inside a ring the columns don't stand in their order, and for a single new token they needn't: it sees every one of them, and a
softmax doesn't care about order. Several new tokens at once see different ones, so they get the columns in order.
"""

from typing import Any

import numpy as np

from ..arrays import Bool, Float, Int
from ..model.branches import Context
from ..model.config import Config


class KVCache:
    """One pass: context = cache.begin(t); the blocks then call cache.extend, once a layer."""

    def __init__(self, config: Config, pads: list[int], num_columns: int, dtype: Any = "float32", xp: Any = np):
        """`num_columns`: how many there will ever be, if that is known to be less than the window."""
        self.slots = min(num_columns, config.sliding_window or num_columns)
        self.xp, self.pads, self.most_padding = xp, xp.asarray(pads)[:, None], max(pads)
        shape = (config.num_layers, len(pads), config.num_kv_heads, self.slots, config.head_size)    # a head's keys are one matrix
        self.keys, self.values = xp.empty(shape, dtype), xp.empty(shape, dtype)
        self.start = self.count = 0             # of the columns of this pass
        self.columns = self.mask = None

    def begin(self, t: int) -> Context:
        """Makes room for t more columns: where they stand, and which keys will be there to see."""
        self.start, self.count = self.count, self.count + t
        new = self.xp.arange(self.start, self.count)
        self.columns = self._columns(t)
        self.mask = self._mask(new)
        return Context(positions=self.xp.maximum(new - self.pads, 0) if self.most_padding else new, past=self)

    def extend(self, layer: int, k: Float[Any, "b t k e"], v: Float[Any, "b t k e"]
               ) -> tuple[Float[Any, "b s k e"], Float[Any, "b s k e"], Bool[Any, "b 1 t s"] | None]:
        """Stores a layer's new keys and values; returns all that the new queries may need, and which of them are no padding."""
        return *(self._extend(kept[layer], x.swapaxes(1, 2)).swapaxes(1, 2) for kept, x in ((self.keys, k), (self.values, v))), self.mask

    def _extend(self, kept: Float[Any, "b k slots e"], new: Float[Any, "b k t e"]) -> Float[Any, "b k s e"]:
        t = self.count - self.start
        if self.count <= self.slots:                                     # the ring isn't full yet
            kept[:, :, self.start:self.count] = new
            return kept[:, :, :self.count]
        if t == 1:
            kept[:, :, self.start % self.slots] = new[:, :, 0]
            return kept
        earlier = kept[:, :, self.columns[:-t] % self.slots]
        last = self.columns[-self.slots:]
        everything = self.xp.concatenate([earlier, new], axis=2)
        kept[:, :, last % self.slots] = everything[:, :, -last.size:]
        return everything

    def _columns(self, t: int) -> Int[Any, "s"]:
        """The columns in the order in which `extend` will return them."""
        if t == 1 and self.count > self.slots:
            slot = self.xp.arange(self.slots)
            return self.start - (self.start - slot) % self.slots          # the newest column that lies in each slot
        return self.xp.arange(max(self.start - self.slots, 0), self.count)

    def _mask(self, new: Int[Any, "t"]) -> Bool[Any, "b 1 t s"] | None:
        """Tokens see no padding. (Padding sees padding, since attention to nothing at all is not every softmax's strength.)"""
        if self.most_padding <= max(self.count - new.size - self.slots, 0):   # all of it has left the window, or there was none
            return None
        queries, keys = new >= self.pads, self.columns >= self.pads
        return (keys[:, None, :] | ~queries[:, :, None])[:, None]
