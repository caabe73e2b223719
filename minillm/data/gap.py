"""How far a model is from the best that any model could do.

For a corpus whose probabilities are known exactly (data/tales), the loss can be compared with the entropy without any guess.
Document by document, on the same documents:

    dᵢ  = (the model's −log p of document i) − (the exact −log p of document i)         in nats
    gap = Σ dᵢ / Σ bᵢ                                                                   bᵢ: bytes of document i

Both sides see the whole document, from its first token through the end-of-document token. The luck of the draw (hard or easy
documents) is on both sides and cancels, so that the gap is known better than the loss itself. It is a ratio of two sums over n
documents, and its standard error that of a ratio estimator:

    error² = n/(n − 1) · Σ (dᵢ − gap · bᵢ)² / (Σ bᵢ)²

The expected gap of the true distribution is 0, that of every other is positive: it is the Kullback-Leibler divergence per byte.
A tokenizer can spell one text in several ways, and the model is charged for the one that it was given; probability on the
others is lost to it, and counts into its gap.
"""

from collections.abc import Callable
from math import isfinite, nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Float, Int
from ..ops.cross_entropy import IGNORE
from .batches import evaluation_batches
from .tokens import Documents


class Gap(NamedTuple):
    per_byte: float         # nats
    error: float            # the standard error of per_byte
    model: float            # nats per byte
    exact: float            # nats per byte
    documents: int
    left_out: int           # documents that don't fit into the context

    def __str__(self) -> str:
        return (f"{self.model:.4f} nats per byte, {self.per_byte:.4f} ± {self.error:.4f} above the exact {self.exact:.4f}, on {self.documents} documents"
                + f" ({self.left_out} too long for the context)" * bool(self.left_out))


def ratio(y: Float[np.ndarray, "n"], x: Int[np.ndarray, "n"]) -> tuple[float, float]:
    """Σ y / Σ x over n documents, and its standard error: that of a ratio estimator."""
    n, size = len(x), int(x.sum())
    value = float(y.sum()) / size
    rest = y - value * x if isfinite(value) else np.full(n, nan)
    return value, sqrt(n / (n - 1) * float(rest @ rest)) / size if n > 1 else nan


def compare(model_nats: Float[np.ndarray, "n"], exact_nats: Float[np.ndarray, "n"], num_bytes: Int[np.ndarray, "n"], left_out: int = 0) -> Gap:
    """The gap from what is known of each document."""
    n, size = len(num_bytes), int(num_bytes.sum())
    if size == 0:
        raise ValueError("There is no document to measure the gap on: none of them fits into the context.")
    gap, error = ratio(model_nats - exact_nats, num_bytes)
    return Gap(gap, error, float(model_nats.sum()) / size, float(exact_nats.sum()) / size, n, left_out)


def measure(model: Callable[[Any], Any], documents: Documents, decode: Callable[[list[int]], str], exact: Callable[[str], float],
            context: int, batch_size: int = 16) -> Gap:
    """The gap of `model(tokens) → logits` on all documents that fit into the context.

    decode   the tokenizer's: ids → text
    exact    text → its −log p in nats, for instance tales.score
    """
    model_nats, exact_nats, sizes = [], [], []
    for tokens, targets, which in evaluation_batches(documents, context, batch_size):
        model_nats.append(document_nats(model(tokens), targets))
        for i in which.tolist():
            ids = documents.document(i).tolist()
            text = decode(ids[:-1] if ids[-1] == documents.tokens.end else ids)
            exact_nats.append(exact(text))
            sizes.append(len(text.encode()))
    nats = np.concatenate(model_nats) if model_nats else np.zeros(0)
    return compare(nats, np.array(exact_nats, np.float64), np.array(sizes, np.int64), len(documents) - len(sizes))


def document_nats(logits: Float[Any, "b t v"], targets: Int[Any, "b t"]) -> Float[np.ndarray, "b"]:
    """−log p of each row, summed over its targets in float64."""
    if not isinstance(logits, np.ndarray):
        logits = logits.get()                   # from the GPU
    nats = np.zeros(len(logits))
    for row, (x, target) in enumerate(zip(logits, np.asarray(targets))):    # row by row: a batch in float64 would be large
        counted = target != IGNORE
        x = x[counted].astype(np.float64)
        top = x.max(-1, keepdims=True)
        nats[row] = (top[:, 0] + np.log(np.exp(x - top).sum(-1)) - np.take_along_axis(x, target[counted, None], -1)[:, 0]).sum()
    return nats
