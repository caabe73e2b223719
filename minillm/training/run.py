"""A whole run: from a recipe to a folder with checkpoints, metrics.jsonl and loss.png.

    RUN/recipe.json      what was asked for; `--resume` reads it
        tokens/          the text as tokens, if it came as text
        metrics.jsonl    a line a step
        checkpoints/     the last ones and the best
        loss.png         drawn when the run ends, however it ends
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..data import tales
from ..files import write_file
from ..model.precision import Precision
from . import bands, checkpoint
from .loop import Result, train
from .metrics import read, speed
from .prepare import Prepared, prepare
from .recipe import Recipe
from .run_folder import claimed
from .settings import FREE_TO_CHANGE

RECIPE, METRICS, PICTURE = "recipe.json", "metrics.jsonl", "loss.png"


class Outcome(NamedTuple):
    result: Result
    prepared: Prepared
    normal: str                     # whether the loss lies where it usually does, as a sentence; "" where nobody knows
    speed: str                      # how fast it was, as a sentence


def run(recipe: Recipe, out: Path, resume: bool = False, device: str = "cpu", precision: Precision | None = None, ops: Any = None,
        progress: bool = False, before: Callable[[Prepared], None] | None = None, meter: Callable[[], Any] | None = None) -> Outcome:
    """device, precision: see model/precision.py; a run may go on on another device. before: called with what was prepared, when training is about to begin. meter: makes a cost.mfu.Meter,
    to have FLOP/s in the metrics."""
    if not resume:
        checkpoint.refuse_begun(out)
    with claimed(out):                           # a second process is refused before it prepares anything
        if checkpoint.folders(out):
            refuse_changes(recipe_of(out), recipe, out)
        prepared = prepare(recipe, out, device, precision, ops, progress)
        if not checkpoint.folders(out):
            recipe.write(out / RECIPE)
    if before is not None:
        before(prepared)
    band = bands.find(recipe, prepared.train)
    try:
        result = train(prepared.model, prepared.train, prepared.validation, prepared.tokenizer, out, resume, recipe.training, progress,
                       meter=None if meter is None else meter())
    finally:
        try:
            draw(out, band, least_loss(recipe, prepared))
        except OSError as problem:               # must not hide what train has to say
            print(f"minillm: {out / PICTURE} can't be drawn: {problem}.", file=sys.stderr)
    lines = read(out / METRICS)
    return Outcome(result, prepared, "" if band is None else band.judge([line["loss"] for line in lines]), speed(lines))


def draw(out: Path, band: Any = None, floor: float | None = None) -> None:
    """RUN/loss.png from RUN/metrics.jsonl."""
    from .. import plot
    if lines := read(out / METRICS):
        new = out / f".{PICTURE}"
        plot.losses(lines, new, band, floor, format="png")
        write_file(out / PICTURE, new.read_bytes())
        new.unlink()


def least_loss(recipe: Recipe, prepared: Prepared) -> float | None:
    """The entropy of the tales in nats per token; None for a corpus whose entropy nobody knows."""
    if recipe.data.data != ("tales",):
        return None
    documents = prepared.train.documents
    return tales.entropy(n=500).per_tale * len(documents) / documents.num_tokens


def refuse_changes(was: Recipe, now: Recipe, out: Path) -> None:
    """Before anything is prepared: the tokens in the folder are those of the run."""
    then = was.to_dict()
    different = [f"{name} was {then[part][name]!r} and is {value!r}" for part, values in now.to_dict().items() for name, value in values.items()
                 if name not in FREE_TO_CHANGE and then[part][name] != value]
    if different:
        raise ValueError(f"{out} can't be resumed as something else: {'; '.join(different)}. Take what it had, or another folder.")


def recipe_of(out: Path) -> Recipe:
    """The recipe that a run was begun with."""
    if not (out / RECIPE).is_file():
        raise ValueError(f"{out} has no {RECIPE}, so there is no run to go on with. Leave out --resume to begin one.")
    return Recipe.read(out / RECIPE)
