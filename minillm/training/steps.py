"""Steps of training on the CPU: the gradient of a batch, its norm, the clip, the learning rate, AdamW.

What the loop asks of steps, here as on a GPU (on_gpu.py):

    steps.start(s)              begins step s. Steps are begun in order; on a GPU this doesn't wait until it is done
    steps.outcomes(wait)        what the steps begun so far came to, each told once. Not waiting, a GPU leaves out the step that it is at
    with steps.running():       around all of it

A step whose loss or gradient isn't finite is not taken: parameters, moments and average stay what they were; on a GPU also through
the step that has begun by the time this is told.
"""

import contextlib
import time
from math import isfinite
from typing import Any, NamedTuple

from .. import updates
from ..ops.cross_entropy import IGNORE
from .schedule import learning_rate
from .settings import Settings
from .step import Gradients, loss_and_grads


class State(NamedTuple):
    """What the steps change in place, beside the model's parameters: flat arrays."""

    m: Any
    v: Any
    ema: Any                    # None: no average is kept


class Outcome(NamedTuple):
    step: int                   # from 0
    loss: float                 # nats per token
    objective: float            # what was made smaller: the loss with label smoothing and z-loss
    norm: float                 # of the gradient, before it was clipped
    lr: float
    tokens: int                 # targets that counted
    shape: tuple[int, int]      # of the batch
    seconds: float

    @property
    def taken(self) -> bool:
        return isfinite(self.objective) and isfinite(self.norm)


class TrainingProblem(ValueError):
    """A run that can't go on: the sentence says at which step, why, and what to do."""


class Steps:
    def __init__(self, model: Any, data: Any, settings: Settings, state: State):
        self.model, self.data, self.settings, self.state = model, data, settings, state
        self.gradients, self.updates = Gradients(model.params), updates.of(model.ops)
        self.untold: list[Outcome] = []

    def running(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    def start(self, step: int) -> None:
        settings, model, started = self.settings, self.model, time.perf_counter()
        tokens, targets, documents = self.data.batch(step)
        loss, nll = loss_and_grads(model, tokens, targets, self.gradients, settings.micro_batches, documents, dropout_key=dropout_key(settings, step),
                                   **objective(settings))
        norm, scale = self.updates.clip(self.gradients.total.flat, settings.clip, in_place=False)
        lr = learning_rate_of(settings, step)
        if isfinite(loss) and isfinite(norm):
            self.updates.adamw(model.params.flat, self.gradients.total.flat, self.state.m, self.state.v, step + 1, lr, settings.beta1, settings.beta2,
                               settings.eps, settings.weight_decay, decayed=model.params.num_matrix_numbers, grad_scale=scale)
            if self.state.ema is not None:
                self.updates.average(self.state.ema, model.params.flat, settings.ema)
        self.untold.append(Outcome(step, nll, loss, norm, lr, int((targets != IGNORE).sum()), targets.shape, time.perf_counter() - started))

    def outcomes(self, wait: bool) -> list[Outcome]:
        told, self.untold = self.untold, []
        return told


# --- what the settings say of a step -------------------------------------------------------------------------------------------

def objective(settings: Settings) -> dict[str, Any]:
    """The options of model.forward that are the same in every step."""
    return {"recompute": settings.recompute, "label_smoothing": settings.label_smoothing, "z_loss": settings.z_loss}


def dropout_key(settings: Settings, step: int) -> int:
    return (settings.seed << 32 | step) & 2**64 - 1          # 64 bits are all that the masks are made from


def learning_rate_of(settings: Settings, step: int) -> float:
    return learning_rate(step, settings.steps, settings.lr, settings.lr * settings.final_lr, settings.warmup_steps, settings.schedule)
