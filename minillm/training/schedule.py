"""The learning rate, step by step.

    warm-up    η = L · (s + 1) / w                            s = 0 … w − 1: the first steps are small, while Adam's averages settle
    constant   η = L
    linear     η = L + (l − L) · p                            p = (s − w) / (S − 1 − w): the share of the way from warm-up to the last step
    cosine     η = l + ½ (L − l) (1 + cos πp)
    wsd        η = L until the last `decay` share of the steps, then linearly down to l      (warm-up, stable, decay)

L is the peak and l the final learning rate. A cosine must end when the tokens do: stopped earlier, it has never been low.
"""

from math import cos, pi
from typing import Literal

Kind = Literal["constant", "linear", "cosine", "wsd"]


def learning_rate(step: int, steps: int, peak: float, final: float, warmup: int, kind: Kind = "cosine", decay: float = 0.2) -> float:
    """The learning rate of step 0, 1, …, steps − 1."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    if kind == "constant":
        return peak
    if kind == "linear":
        return peak + (final - peak) * progress
    if kind == "cosine":
        return final + 0.5 * (peak - final) * (1 + cos(pi * progress))
    if kind == "wsd":
        falling = max(0.0, (progress - (1 - decay)) / decay) if decay else 0.0
        return peak + (final - peak) * falling
    raise ValueError(f"The schedule is one of constant, linear, cosine, wsd, not {kind!r}.")
