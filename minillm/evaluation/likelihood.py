"""How well a model predicts documents: loss, perplexity and bits per byte, each with its standard error.

For document i, with Nᵢ predicted tokens, Bᵢ bytes of text and yᵢ = −log p(its tokens) in nats:

    loss           Σ yᵢ / Σ Nᵢ                   nats per token. It depends on the tokenizer: longer tokens are harder to predict
    perplexity     e^loss                        as uncertain as a fair choice among so many tokens
    bits per byte  Σ yᵢ / (ln 2 · Σ Bᵢ)          what an arithmetic coder would need. It doesn't depend on the tokenizer

A document is predicted from its first token, which follows the end-of-document token as in training, through its own end of
document. (Where a corpus has no such token, a document's first token is only read.) The end is predicted, but has no bytes.

A document longer than the context is read in windows, each `stride` further on. A window counts only the targets that none before
it has counted, so every token is predicted exactly once, with at least context − stride tokens before it after the first window:

    context 8, stride 4      [0 1 2 3 4 5 6 7]
                                     (4 5 6 7)[8 9 10 11]               in brackets: counted; in parentheses: only read
                                              (8 9 10 11)[12 13]

The tokens of a document hang together, so the unit of the standard errors is the document: of a ratio R = Σ yᵢ / Σ xᵢ over n of
them, error² = n/(n − 1) · Σ (yᵢ − R xᵢ)² / (Σ xᵢ)². That of the perplexity is perplexity · (error of the loss).
"""

from collections.abc import Callable, Sequence
from math import exp, inf, log
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Float, Int, blas_threads, in_threads, num_threads
from ..data.batches import num_inputs
from ..data.gap import document_nats, ratio
from ..data.tokens import Documents
from ..ops.cross_entropy import IGNORE


class Likelihood(NamedTuple):
    """What is known of each document."""

    nats: Float[np.ndarray, "n"]
    tokens: Int[np.ndarray, "n"]                # predicted ones
    bytes: Int[np.ndarray, "n"]

    @property
    def loss(self) -> tuple[float, float]:
        """Nats per token, and the standard error."""
        return ratio(self.nats, self.tokens)

    @property
    def perplexity(self) -> tuple[float, float]:
        loss, error = self.loss
        perplexity = exp(loss) if loss < 700 else inf
        return perplexity, perplexity * error

    @property
    def bits_per_byte(self) -> tuple[float, float]:
        return ratio(self.nats / log(2), self.bytes)


class Window(NamedTuple):
    """Of a document's inputs (what is read, see data/batches.py) begin … end − 1 are read, and from `counted` on their targets count."""

    document: int
    begin: int
    counted: int
    end: int


def windows(sizes: Sequence[int], context: int, stride: int) -> list[Window]:
    """`sizes`: the number of inputs of each document."""
    return [Window(i, begin, begin + context - stride if begin else 0, min(begin + context, size)) for i, size in enumerate(sizes) if size
            for begin in range(0, max(1, size - context + stride), stride)]


def measure(model: Any, documents: Documents, tokenizer: Any, context: int | None = None, stride: int | None = None, batch_size: int = 16,
            progress: bool = False) -> Likelihood:
    """What the model makes of documents.

    model        a Transformer, or any model(tokens) → logits
    tokenizer    says how many bytes the tokens stand for
    context      tokens that a window reads; by default as many as the model was made for
    stride       how much further on the next window begins; by default half the context
    """
    context = context or context_of(model)
    stride = stride or (context + 1) // 2
    if not 0 < stride <= context:
        raise ValueError(f"A stride of {stride} tokens doesn't do for windows of {context}: it must be at least 1 and at most the context.")
    sizes = num_inputs(documents)
    if not sizes.sum():
        raise ValueError("There is nothing to predict: the documents have no token that follows another.")
    cut = windows(sizes.tolist(), context, stride)
    nats = np.zeros(len(documents))
    of_rows = nats_of_rows(model, [each.end - each.begin for each in cut], lambda i: in_window(documents, cut[i]), batch_size, progress)
    np.add.at(nats, [each.document for each in cut], of_rows)
    num_bytes = np.array([text_bytes(documents, i, tokenizer) for i in range(len(documents))])
    return Likelihood(nats, sizes, num_bytes)


def context_of(model: Any) -> int:
    """As many tokens as the model was made for; what has no such limit (a Bigram) reads 1,024 at a time."""
    return model.config.max_seq_len if hasattr(model, "config") else 1024


def in_window(documents: Documents, window: Window) -> tuple[Int[np.ndarray, "n"], int]:
    """The ids that a window reads and the one after them, and how many of its inputs don't count."""
    end = documents.tokens.end
    first = int(documents.begins[window.document]) - (end is not None)          # where input 0 would stand: the end of document in front
    begin = first + window.begin + (end is not None and window.begin == 0)
    ids = documents.tokens.read(begin, first + window.end + 1)
    if len(ids) <= window.end - window.begin:
        ids = np.concatenate([[end], ids])
    return ids, window.counted - window.begin


def text_bytes(documents: Documents, i: int, tokenizer: Any) -> int:
    """Bytes of a document's text; its end is no text."""
    ids = documents.document(i)
    return len(tokenizer.decode_bytes(ids[:-1] if ids[-1] == documents.tokens.end else ids))


def nats_of_rows(model: Any, lengths: Sequence[int], row: Callable[[int], tuple[Sequence[int], int]], batch_size: int = 16,
                 progress: bool = False) -> Float[np.ndarray, "n"]:
    """−log p of each row's targets. row(i) → (its lengths[i] + 1 ids, how many of its first inputs don't count); rows of like lengths share
    a batch, which then needs little padding."""
    from tqdm import tqdm
    order, nats = np.argsort(lengths, kind="stable"), np.zeros(len(lengths))
    with tqdm(total=sum(lengths), unit=" tokens", unit_scale=True, desc="evaluating", disable=not progress, leave=False) as bar:
        for first in range(0, len(order), batch_size):
            which = order[first:first + batch_size]
            tokens = np.zeros((len(which), lengths[which[-1]]), np.int64)       # padded at the end, where causal attention doesn't look
            targets = np.full(tokens.shape, IGNORE)
            for at, i in enumerate(which.tolist()):
                ids, skipped = row(i)
                tokens[at, :len(ids) - 1], targets[at, skipped:len(ids) - 1] = ids[:-1], ids[1 + skipped:]
            nats[which] = nats_of_batch(model, tokens, targets)
            bar.update(sum(lengths[i] for i in which))
    return nats


def nats_of_batch(model: Any, tokens: Int[np.ndarray, "b t"], targets: Int[np.ndarray, "b t"]) -> Float[np.ndarray, "b"]:
    """On all cores, each with its share of the rows; on a GPU all at once."""
    def some(part: slice) -> Float[np.ndarray, "b"]:
        if hasattr(model, "nats"):
            return model.nats(tokens[part], targets[part])
        return document_nats(model(tokens[part]), targets[part])

    count = 1 if getattr(model, "device", "cpu") != "cpu" else min(num_threads(), len(tokens))
    edges = np.linspace(0, len(tokens), count + 1).astype(int).tolist()
    with blas_threads(1 if count > 1 else num_threads()):
        return np.concatenate(in_threads(some, [slice(*edge) for edge in zip(edges, edges[1:])]))
