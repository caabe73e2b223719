"""From a model's logits to the next token: sharpen or flatten the distribution, cut off its tail, throw the dice.

With z the logits of one row, in this order (which is also that of transformers):

    repetition penalty r    z_i ← z_i / r if z_i > 0 else z_i · r         for every token i that the text already holds (Keskar et al. 2019)
    temperature T           z ← z / T                                     T = 0: the largest z is taken, and that is all
    top-k                   keep z_i ≥ the k-th largest                   tokens that tie with the k-th all stay
    top-p                   keep the smallest set whose probability reaches p (Holtzman et al. 2020): sorted downwards, a token stays if
                            those before it sum to less than p. So the token that crosses p stays, and the largest always does;
                            of equal tokens the smaller id comes first
    min-p                   keep p_i ≥ min_p · max p                      (Nguyen et al. 2024)
    p = softmax(z)          over what is left; the probabilities that top-p and min-p look at are made anew after each cut

A token is drawn by turning the distribution's cumulative sum around: u is uniform in [0, 1), and the token is the first whose sum
exceeds u. All of this is float64: a sum of 32000 float32 probabilities would miss 1 in the sixth decimal.
"""

from dataclasses import dataclass
from math import isfinite
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Bool, Float


@dataclass(frozen=True)
class Sampler:
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    def __post_init__(self):
        k, p, m, r = self.top_k, self.top_p, self.min_p, self.repetition_penalty
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature must be a number of at least 0 (0: always the likeliest token), not {self.temperature!r}.")
        if k is not None and not (isinstance(k, Integral) and k >= 1):
            raise ValueError(f"top_k must be a whole number of at least 1, or None to keep all tokens, not {k!r}.")
        if p is not None and not 0 < p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, or None to keep all tokens, not {p!r}.")
        if m is not None and not 0 <= m <= 1:
            raise ValueError(f"min_p must be between 0 and 1, or None to keep all tokens, not {m!r}.")
        if r is not None and not (isfinite(r) and r > 0):
            raise ValueError(f"repetition_penalty must be a positive number (1 and None change nothing), not {r!r}.")

    def choose(self, logits: Float[Any, "v"], seen: Bool[Any, "v"], rng: np.random.Generator) -> int:
        """The next token's id. `seen`: which tokens the text holds."""
        z = self.penalised(logits, seen)
        if self.temperature == 0:
            return int(z.argmax())
        reach = np.cumsum(softmax(self.filtered(z)))
        return int(np.searchsorted(reach, rng.random() * reach[-1], side="right"))

    def penalised(self, logits: Float[Any, "v"], seen: Bool[Any, "v"]) -> Float[Any, "v"]:
        z = np.asarray(logits, np.float64)
        if not isfinite(z.max()):
            raise ValueError("The model's logits are not finite numbers (NaN or infinite), so there is no next token. Were its weights "
                             "damaged, or did its training diverge?")
        if self.repetition_penalty in (None, 1):
            return z
        return np.where(seen, np.where(z > 0, z / self.repetition_penalty, z * self.repetition_penalty), z)

    def filtered(self, z: Float[Any, "v"]) -> Float[Any, "v"]:
        """The logits divided by the temperature, −∞ for what may not be drawn."""
        z = (z - z.max()) / self.temperature     # the shift changes no probability, and keeps a tiny temperature from ∞ − ∞
        if self.top_k is not None and self.top_k < z.size:
            z = np.where(z >= np.partition(z, -self.top_k)[-self.top_k], z, -np.inf)
        if self.top_p is not None and self.top_p < 1:
            p = softmax(z)
            order = np.argsort(-p, stable=True)
            before = np.concatenate([[0], np.cumsum(p[order])[:-1]])
            z[order[before >= self.top_p]] = -np.inf
        if self.min_p:
            p = softmax(z)
            z = np.where(p >= self.min_p * p.max(), z, -np.inf)
        return z


def softmax(z: Float[Any, "v"]) -> Float[Any, "v"]:
    p = np.exp(z - z.max())
    return p / p.sum()
