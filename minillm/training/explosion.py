"""Has the loss exploded? A NaN is easy to see. A loss that stays finite is judged by what the run had already reached:

    l̄(s)  = mean of the last 20 losses at step s                 smooth enough that one hard batch is no alarm
    best   = the lowest l̄ so far
    learnt = (first loss) − best
    exploded:  l̄ > best + max(½ · learnt, 1 nat)     half of what was learnt is lost again; or
               a single loss > 2 · first              twice as bad as knowing nothing

When it has, the same batch is put through the parameters of the last checkpoint from before and through those of now. The first operation,
in the order of the forward pass, whose outputs have grown tenfold is named.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import fields, replace
from math import inf
from typing import Any, NamedTuple

from ..arrays import here, wide, xp
from ..ops import Ops

WINDOW = 20         # steps
GROWN = 10.0        # by how much an operation's outputs must have grown to be called bad


class Watch:
    """Is told every loss, in order; `alarm` is a sentence as soon as they have exploded."""

    def __init__(self, losses: Iterable[float] = ()):
        """losses: those of the steps already done, when a run is resumed."""
        self.first, self.best, self.best_step, self.steps = None, inf, 0, 0
        self.last: deque[float] = deque(maxlen=WINDOW)
        self.alarm = ""
        for loss in losses:
            self.see(loss)

    def see(self, loss: float) -> None:
        self.steps += 1
        self.last.append(loss)
        self.first = loss if self.first is None else self.first
        smooth = sum(self.last) / len(self.last)
        if loss > 2 * max(self.first, 1.0):
            self.alarm = f"its loss is {loss:.4g}, more than twice the {self.first:.4g} that it began with"
        elif len(self.last) == WINDOW:
            if smooth < self.best:
                self.best, self.best_step = smooth, self.steps
            elif smooth > self.best + max(0.5 * (self.first - self.best), 1.0):
                self.alarm = f"the mean of the last {WINDOW} losses has climbed from {self.best:.4g}, at step {self.best_step}, to {smooth:.4g}"


class Size(NamedTuple):
    place: str          # such as "layers.1.down"
    op: str
    rms: float


def sizes(model: Any, *batch: Any, **options: Any) -> list[Size]:
    """The root mean square of what every operation makes in a forward pass, in its order."""
    seen: list[Size] = []
    table = model.ops
    measuring = replace(table, **{field.name: _Measured(field.name, getattr(table, field.name), seen) for field in fields(Ops)})
    model.with_ops(measuring).forward(*batch, **options)
    return seen


def first_grown(before: list[Size], now: list[Size]) -> str:
    """The first operation that grew tenfold; if none did, the one that grew most."""
    grown = [(new.rms / max(old.rms, 1e-30), old, new) for old, new in zip(before, now, strict=True)]
    ratio, old, new = next((each for each in grown if each[0] > GROWN or each[0] != each[0]), max(grown, key=lambda each: each[0]))
    return f"{new.place or 'outside any layer'}: what {new.op} makes has grown {ratio:.3g} times, from {old.rms:.3g} to {new.rms:.3g} (root mean square)"


class _Measured:
    def __init__(self, name: str, op: Any, seen: list[Size]):
        self.name, self.op, self.seen, self.flops = name, op, seen, op.flops

    def forward(self, *arrays: Any, **options: Any) -> tuple:
        y, cache = self.op.forward(*arrays, **options)
        first = wide(y[0] if isinstance(y, tuple) else y)
        self.seen.append(Size(here(), self.name, float(xp(first).sqrt((first * first).mean())) if hasattr(first, "mean") else float(abs(first))))
        return y, cache

    def backward(self, dy: Any, cache: Any, **options: Any) -> tuple:
        return self.op.backward(dy, cache, **options)
