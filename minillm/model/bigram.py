"""The bigram model: the next token depends on the last one alone. The baseline of everything, and the only model that can be had both
ways: by counting, and by gradient descent, which arrives at the same probabilities.

    counted    p(b | a) = (count of a followed by b + α) / (count of a followed by anything + α v)
    trained    p(b | a) = softmax(weight[a])_b, and the loss is the mean cross-entropy

The two meet where the gradient is zero: dweight[a] = Σ (p(· | a) − onehot) over the places where a stood, which vanishes exactly when
p(b | a) is the share of b among what followed a.
"""

from typing import Any

import numpy as np

from ..arrays import Float, Int
from ..ops import REFERENCE, Ops
from ..ops.cross_entropy import IGNORE
from .inputs import refuse_bad_batch
from .parameters import Parameters


class Bigram:
    """Has the face of a Transformer: model(tokens), forward, backward, loss_and_grads, params."""

    def __init__(self, vocab_size: int, seed: int = 0, dtype: Any = "float32", ops: Ops | None = None):
        self.vocab_size, self.ops = vocab_size, REFERENCE if ops is None else ops
        self.params = Parameters({"bigram.weight": (vocab_size, vocab_size)}, dtype)
        self.params["bigram.weight"][...] = 0.02 * np.random.default_rng(seed).standard_normal((vocab_size, vocab_size))

    @classmethod
    def counted(cls, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], vocab_size: int, alpha: float = 0.0) -> "Bigram":
        """The model whose probabilities are the shares counted; `alpha` is added to every count, so that the unseen isn't impossible."""
        refuse_bad_batch(vocab_size, tokens, targets)
        if alpha < 0:
            raise ValueError(f"alpha is added to every count, so it must be 0 or more, not {alpha}.")
        model = cls(vocab_size, dtype="float64")
        counts = np.full((vocab_size, vocab_size), float(alpha))
        seen = targets.reshape(-1) != IGNORE
        np.add.at(counts, (tokens.reshape(-1)[seen], targets.reshape(-1)[seen]), 1)
        total = counts.sum(-1, keepdims=True)
        shares = np.where(total > 0, counts / np.where(total > 0, total, 1), 1 / vocab_size)     # nothing known: all alike
        with np.errstate(divide="ignore"):
            model.params["bigram.weight"][...] = np.log(shares)
        return model

    def __call__(self, tokens: Int[Any, "b t"]) -> Float[Any, "b t v"]:
        refuse_bad_batch(self.vocab_size, tokens)
        return self.ops.embedding.forward(tokens, self.params["bigram.weight"])[0]

    def forward(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], denominator: Any = None) -> tuple[float, tuple]:
        refuse_bad_batch(self.vocab_size, tokens, targets)
        logits, looked_up = self.ops.embedding.forward(tokens, self.params["bigram.weight"])
        (loss, _), compared = self.ops.cross_entropy.forward(logits, targets, denominator=denominator)
        return float(loss), (looked_up, compared)

    def backward(self, cache: tuple, into: Parameters | None = None) -> Parameters:
        looked_up, compared = cache
        grads = self.params.zeros() if into is None else into
        (dlogits,) = self.ops.cross_entropy.backward(1.0, compared)
        self.ops.embedding.backward(dlogits, looked_up, into=grads["bigram.weight"])
        return grads

    def loss_and_grads(self, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], into: Parameters | None = None, **options: Any
                       ) -> tuple[float, Parameters]:
        loss, cache = self.forward(tokens, targets, **options)
        return loss, self.backward(cache, into)
