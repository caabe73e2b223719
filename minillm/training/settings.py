"""How a model is trained: every choice with its default, checked when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Literal, get_args, get_origin

from .schedule import Kind


@dataclass(frozen=True)
class Settings:
    steps: int = 1000                   # updates of the parameters
    micro_batches: int = 1              # pieces that a batch is computed in, one after another, to save memory
    recompute: bool = False             # keep less for backward and compute it again: less memory, a third more time

    lr: float = 3e-3                    # the peak learning rate
    final_lr: float = 0.1               # at the end, as a share of the peak
    schedule: Kind = "cosine"
    warmup_steps: int = 50
    weight_decay: float = 0.1           # on matrices only
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    clip: float = 1.0                   # the gradient's norm is brought down to this
    ema: float = 0.0                    # 0.99, say: also keep an exponential moving average of the weights
    label_smoothing: float = 0.0
    z_loss: float = 0.0

    seed: int = 0                       # decides dropout; with a recipe, also the first weights and the order of the data

    evaluate_every: int = 200           # steps; 0: only at the end
    evaluate_batches: int = 8
    checkpoint_every: int = 200         # steps; 0: only at the end
    keep: int = 2                       # checkpoints, beside the best one
    sample_every: int = 0               # steps; 0: never. Then the model writes a text, to see how it is coming along

    def __post_init__(self) -> None:
        for name in ("steps", "micro_batches", "keep", "evaluate_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("warmup_steps", "weight_decay", "evaluate_every", "checkpoint_every", "sample_every", "label_smoothing",
                     "z_loss", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        for name in ("beta1", "beta2", "ema", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}.")
        for name in ("lr", "eps", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}.")
        for name, value in vars(self).items():
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value}.")
        if not 0 <= self.final_lr <= 1:
            raise ValueError(f"final_lr is a share of the peak learning rate, so between 0 and 1, not {self.final_lr}.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        return cls(**checked(cls, values, "Training"))


def checked(kind: type, values: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """The values of a dataclass's fields, as a file or a caller gave them; a sentence for those that don't fit."""
    known = {field.name: field for field in fields(kind)}
    if unknown := values.keys() - known.keys():
        raise ValueError(f"{subject} has no setting {', '.join(sorted(unknown))}; it has {', '.join(known)}.")
    for name, value in values.items():
        choices = get_args(known[name].type) if get_origin(known[name].type) is Literal else ()
        if choices and value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
        wanted = str if known[name].default is None else type(known[name].default)
        fits = isinstance(value, (int, float) if wanted is float else wanted) and isinstance(value, bool) == (wanted is bool)
        if not fits and not (value is None and known[name].default is None):
            raise ValueError(f"{name} must be of type {wanted.__name__}, not {value!r}.")
    return dict(values)


# What may change when a run is resumed: it doesn't enter the mathematics of the steps.
FREE_TO_CHANGE = {"micro_batches", "recompute", "evaluate_every", "evaluate_batches", "checkpoint_every", "sample_every", "keep"}
