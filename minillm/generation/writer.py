"""A model writes: it reads a text, gives logits for the next token, one is drawn, it reads that too, and so on.

    generate(model, [5, 17, 3])                    one prompt: its new tokens, a list
    generate(model, [[5, 17, 3], [8]])             several prompts, of any lengths: a list of such lists
    stream(model, [5, 17, 3])                      the same tokens, as they come
    stream_text(model, tokenizer, "Once upon")     text in, pieces of text out, as they come
"""

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from .. import gpu
from ..arrays import Float, on_host
from ..model import Bigram
from .on_gpu import GPUReader, on_kernels
from .reader import BigramReader, Reader
from .sampling import Sampler
from .text import TextStream

END_OF_TEXT = "<|endoftext|>"       # what stands between two documents


def generate(model: Any, prompt_ids: Any, max_new_tokens: int = 64, temperature: float = 1.0, top_k: int | None = None,
             top_p: float | None = None, seed: int = 0, *, min_p: float | None = None, repetition_penalty: float | None = None,
             stop_ids: Iterable[int] = (), stop: str | Iterable[str] = (), tokenizer: Any = None) -> list:
    """The tokens that a model writes after a prompt (a list of ids), or after each of several prompts (a list of lists).

    temperature, top_k, top_p, min_p, repetition_penalty    see sampling.py; temperature = 0 always takes the likeliest token
    seed         row i of a batch throws its own dice, from (seed, i), so what it gets doesn't depend on the other rows
    stop_ids     a text ends before any of these tokens
    stop         a text ends when one of these strings has appeared in what was written (not in the prompt); needs the tokenizer.
                 The tokens end with the one that completed the string; stream_text cuts the text before the string
    tokenizer    if given, only ids that it has are drawn, also where the model's vocabulary was padded to a rounder number

    What happens past the end of the model's context is said in reader.py.
    """
    writer = Writer(model, prompt_ids, max_new_tokens, seed, stop_ids, stop, tokenizer, temperature=temperature, top_k=top_k,
                    top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty)
    for _ in writer.steps():
        pass
    tokens = [row.tokens for row in writer.rows]
    return tokens if is_batch(prompt_ids) else tokens[0]


def stream(model: Any, prompt_ids: Any, **settings: Any) -> Iterator[int]:
    """generate's tokens for one prompt, each as soon as it is known. The settings are generate's."""
    if is_batch(prompt_ids):
        raise ValueError("stream writes one text: give it one prompt, a list of ids; generate takes several.")
    writer = Writer(model, prompt_ids, **settings)
    return (row.tokens[-1] for (row,) in writer.steps())


def stream_text(model: Any, tokenizer: Any, prompt: str, stop_ids: Iterable[int] | None = None, **settings: Any) -> Iterator[str]:
    """What a model writes after a prompt, piece by piece: whole characters only, and nothing of a stop string. The settings are
    generate's. If the tokenizer has an <|endoftext|>, the prompt is put after one, as every document is in training, and the text ends
    at the next one, unless `stop_ids` says otherwise."""
    end = getattr(tokenizer, "special_tokens", {}).get(END_OF_TEXT)
    ends = [] if end is None else [end]
    writer = Writer(model, ends + list(tokenizer.encode(prompt)), stop_ids=ends if stop_ids is None else stop_ids, tokenizer=tokenizer,
                    **settings)

    def pieces() -> Iterator[str]:
        for (row,) in writer.steps():
            yield row.shown
        yield writer.rows[0].text.finish()

    return (piece for piece in pieces() if piece)


class Writer:
    """The loop itself, for a batch of texts."""

    def __init__(self, model: Any, prompt_ids: Any, max_new_tokens: int = 64, seed: int = 0, stop_ids: Iterable[int] = (),
                 stop: str | Iterable[str] = (), tokenizer: Any = None, **sampling: Any):
        if not isinstance(max_new_tokens, Integral) or max_new_tokens < 0:
            raise ValueError(f"max_new_tokens must be a whole number of at least 0, not {max_new_tokens!r}.")
        vocab_size = model.vocab_size if isinstance(model, Bigram) else model.config.vocab_size
        prompts = as_prompts(prompt_ids, vocab_size)
        stop, stop_ids = as_strings(stop), frozenset(int(i) for i in stop_ids)
        if stop and tokenizer is None:
            raise ValueError("Stop strings are looked for in the text, so they need the tokenizer: give tokenizer=…, or stop_ids.")
        self.num_choices = vocab_size if tokenizer is None else min(vocab_size, tokenizer.vocab_size)
        self.max_new_tokens, sampler = max_new_tokens, Sampler(**sampling)
        self.rows = [Row(prompt, sampler, np.random.default_rng([seed, i]), vocab_size, stop_ids,
                         None if tokenizer is None else TextStream(tokenizer, stop)) for i, prompt in enumerate(prompts)]
        kind = BigramReader if isinstance(model, Bigram) else GPUReader if on_kernels(model) else Reader
        with gpu.explained():
            self.reader = kind(model, prompts, max_new_tokens)

    def steps(self) -> Iterator[list["Row"]]:
        """Adds a token to every text that has not ended; yields those rows, step by step."""
        for step in range(self.max_new_tokens):
            with gpu.explained():
                logits = on_host(self.reader.add([row.last for row in self.rows]) if step else self.reader.read())
            written = [row for row, z in zip(self.rows, logits, strict=True) if row.write(z[:self.num_choices])]
            if written:
                yield written
            if all(row.ended for row in self.rows):
                break


class Row:
    """One text. A text that has ended goes on being read with the others, for its place in the batch, but nothing is added to it."""

    def __init__(self, prompt: list[int], sampler: Sampler, rng: np.random.Generator, vocab_size: int, stop_ids: frozenset[int],
                 text: TextStream | None):
        self.sampler, self.rng, self.stop_ids, self.text = sampler, rng, stop_ids, text
        self.tokens: list[int] = []
        self.last, self.shown, self.ended = prompt[-1], "", False
        self.seen = np.zeros(vocab_size, bool)
        self.seen[prompt] = True

    def write(self, logits: Float[Any, "choices"]) -> bool:
        """Draws a token and adds it; False if there is none because the text has ended."""
        if self.ended:
            return False
        token = self.sampler.choose(logits, self.seen[:logits.size], self.rng)
        if token in self.stop_ids:
            self.ended = True
            return False
        self.tokens.append(token)
        self.last, self.seen[token] = token, True
        if self.text is not None:
            self.shown = self.text.push(token)
            self.ended = self.text.stopped
        return True


# --- what people give ------------------------------------------------------------------------------------------------------

def is_batch(prompt_ids: Any) -> bool:
    """Several prompts, rather than one."""
    if isinstance(prompt_ids, np.ndarray):
        return prompt_ids.ndim > 1
    return isinstance(prompt_ids, Sequence) and any(isinstance(item, Sequence | np.ndarray) and np.ndim(item) > 0 for item in prompt_ids)


def as_prompts(prompt_ids: Any, vocab_size: int) -> list[list[int]]:
    """A list of lists of ids, or a sentence."""
    if isinstance(prompt_ids, str) or not isinstance(prompt_ids, Sequence | np.ndarray):
        raise ValueError(f"A prompt is a list of token ids, not {type(prompt_ids).__name__}: encode the text first (tokenizer.encode), "
                         "or take minillm.generation.stream_text.")
    prompts = []
    for i, prompt in enumerate(prompt_ids if is_batch(prompt_ids) else [prompt_ids]):
        ids = np.asarray(prompt)
        if not ids.size:
            raise ValueError(f"Prompt {i} is empty, but a model continues a text: give it at least one token, such as {END_OF_TEXT}.")
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ValueError(f"Prompt {i} must be a list of token ids (whole numbers), and is an array of {ids.dtype} with {ids.ndim} axes.")
        outside = np.flatnonzero((ids < 0) | (ids >= vocab_size))
        if outside.size:
            raise ValueError(f"Token {ids[outside[0]]} at place {outside[0]} of prompt {i} is outside the model's vocabulary of {vocab_size}: "
                             "was the text encoded with this model's tokenizer?")
        prompts.append(ids.tolist())
    return prompts


def as_strings(stop: str | Iterable[str]) -> tuple[str, ...]:
    stop = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in stop:
        raise ValueError("A stop string can't be empty: it would end every text at once.")
    return stop
