"""`minillm train --ops`: the same recipe trained twice, on the student's operations and on the reference's, and the two curves in one picture.

    RUN/                       the run on the student's operations, like any other
        reference/             the run on the reference's
        loss_with_yours.png    both curves, and how far apart they are

Two right implementations round differently in the last digit, and training amplifies that: the curves begin together and stay close, but
they are not the same to the last bit. A wrong gradient shows at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_file
from ..plot import training as plot
from ..training import checkpoint
from ..training.metrics import read
from ..training.recipe import Recipe
from ..training.run import METRICS, Outcome, run
from .students import StudentOps, needed

REFERENCE, PICTURE = "reference", "loss_with_yours.png"
FIRST = 10          # steps in which only rounding can have set two right runs apart


@dataclass(frozen=True)
class SideBySide:
    mine: Outcome
    difference: float | None = None              # the largest, of the losses of one step; None without a second run
    step: int = 0                                # where
    at_first: float = 0.0                        # the largest of the first steps
    picture: Path | None = None

    def __str__(self) -> str:
        if self.difference is None:
            return "In this copy there is no reference to compare with: the curve of your run is all there is."
        return (f"With the reference's operations: the losses differ by at most {self.difference:.2g} nats (at step {self.step}), "
                f"by {self.at_first:.2g} in the first {FIRST} steps. Both curves are in {self.picture}.")


def train(recipe: Recipe, out: Path, students: StudentOps, resume: bool = False, progress: bool = False, meter: Callable[[], Any] | None = None,
          between: Callable[[], None] = lambda: None) -> SideBySide:
    """between: called when the first run is done and the second begins. Nothing is compared if the first was stopped."""
    if students.alone:
        students.require(recipe.model)
    own = [name for name in needed(recipe.model, students.own) if name in students.own]
    if not own:
        raise ValueError("None of your exercises that this model could run on passes all its checks yet. See: minillm exercises check")
    mine = run(recipe, out, resume, ops=students.ops, progress=progress, meter=meter)
    if students.alone or mine.result.stopped_by:
        return SideBySide(mine)
    between()
    reference = out / REFERENCE
    other = run(recipe, reference, resume=bool(checkpoint.folders(reference)), progress=progress)
    if other.result.stopped_by:
        return SideBySide(mine._replace(result=mine.result._replace(stopped_by=other.result.stopped_by)))
    return compared(out, mine, own)


def compared(out: Path, mine: Outcome, own: list[str]) -> SideBySide:
    lines, others = read(out / METRICS), read(out / REFERENCE / METRICS)
    apart = [abs(line["loss"] - other["loss"]) for line, other in zip(lines, others, strict=True)]
    picture, new = out / PICTURE, out / f".{PICTURE}"
    plot.two_losses([line["loss"] for line in lines], [line["loss"] for line in others], own, new, format="png")
    write_file(picture, new.read_bytes())
    new.unlink()
    return SideBySide(mine, max(apart), apart.index(max(apart)) + 1, max(apart[:FIRST]), picture)
