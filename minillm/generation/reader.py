"""What a model reads while it writes: the texts so far, and the logits of what could come next.

Beyond the context: a model was trained on texts of at most max_seq_len tokens, and is trusted no further.
    - With RoPE and a sliding window no longer than max_seq_len it goes on for ever: it sees distances alone, and none that is new to it.
    - Any other model forgets: when a text has grown past max_seq_len, its last max_seq_len // 2 tokens are read anew, as a text of
      their own that begins at position 0, and it goes on from there. Each row of a batch does so at its own time.
"""

from collections.abc import Sequence
from typing import Any

from ..arrays import Float, blas_threads, num_threads, place
from ..model import Bigram, Config
from .cache import KVCache
from .decoder import decoder

# Multiply-adds from which it pays to share a matrix product among threads. One row times a matrix of 768 × 2304 took 0.6 of the time on
# two threads, 256 × 768 the same; and where other programs want the cores, threads wait for each other many times as long as they work.
SHARED = 1 << 20


def context_limit(config: Config) -> int | None:
    """How many tokens a model reads at once, or None if it never ends."""
    window = config.sliding_window
    return None if config.positions == "rope" and window is not None and window <= config.max_seq_len else config.max_seq_len


class Reader:
    """logits = reader.read(); then, token by token, logits = reader.add([one token a row])."""

    def __init__(self, model: Any, texts: Sequence[Sequence[int]], room: int):
        """`room`: how many tokens will be added to each text at most."""
        self.model, self.decoder = model, decoder(model)
        self.texts, self.room = [list(text) for text in texts], room
        self.params = model.computing_params()   # once: a 16-bit model makes a copy of its weights here
        self.limit = context_limit(model.config)
        for i, text in enumerate(self.texts):
            if self.limit is not None and len(text) > self.limit:
                raise ValueError(f"Prompt {i} has {len(text)} tokens, but the model reads max_seq_len = {self.limit} at once: "
                                 f"shorten it, or give its last {self.limit} tokens.")

    def read(self) -> Float[Any, "b v"]:
        """Reads the texts from their beginnings, aligned at their ends."""
        length = max(map(len, self.texts))
        pads = [length - len(text) for text in self.texts]
        columns = length + self.room if self.limit is None else min(length + self.room, self.limit)
        self.cache = KVCache(self.model.config, pads, columns, self.model.dtype, self.model.xp)
        return self.next_logits([[0] * pad + text for pad, text in zip(pads, self.texts, strict=True)])

    def add(self, tokens: Sequence[int]) -> Float[Any, "b v"]:
        self.room -= 1
        for text, token in zip(self.texts, tokens, strict=True):
            text.append(token)
        if self.limit is not None and any(len(text) > self.limit for text in self.texts):
            keep = max(self.limit // 2, 1)
            self.texts = [text[-keep:] if len(text) > self.limit else text for text in self.texts]
            return self.read()
        return self.next_logits([[token] for token in tokens])

    def next_logits(self, tokens: Sequence[Sequence[int]]) -> Float[Any, "b v"]:
        """The logits after the last of `tokens`, which follow what the cache holds, and join it."""
        tokens = self.model.xp.asarray(tokens)
        model = self.decoder if tokens.shape[1] == 1 else self.model
        largest = tokens.size * model.config.d_model * model.config.d_ff
        with blas_threads(num_threads() if largest >= SHARED else 1):
            n, _ = model.read(tokens, self.params, self.cache.begin(tokens.shape[1]), keep="nothing")
            with place("output"):
                return model.ops.linear.forward(n[:, -1], model.output_matrix(self.params).T)[0]


class BigramReader:
    """A bigram has no memory but the last token."""

    def __init__(self, model: Bigram, texts: Sequence[Sequence[int]], room: int):
        self.model, self.last = model, [text[-1] for text in texts]

    def read(self) -> Float[Any, "b v"]:
        return self.add(self.last)

    def add(self, tokens: Sequence[int]) -> Float[Any, "b v"]:
        return self.model(self.model.params.xp.asarray(tokens)[:, None])[:, 0]
