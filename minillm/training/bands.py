"""Is my loss normal? Reference curves: where the loss of a recipe usually lies, from several runs that differ in their seed alone.

    l̄(s)   the mean of the last 20 losses at step s
    band    mean ± 4 standard deviations of l̄(s) over the seeds        and never narrower than ± 2 % of the mean

With five seeds, a sixth run of the same distribution lies outside at one step in about a hundred (Student's t with 4 degrees of freedom).
A band belongs to one recipe and one corpus: it is found by a hash of both, without the seed, and for any other run there is none.
`python -m benchmarks.bands` makes them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any, NamedTuple

from .explosion import WINDOW
from .recipe import Recipe
from .settings import FREE_TO_CHANGE

FILE = "bands.json"
WIDTH, LEAST = 4.0, 0.02


class Band(NamedTuple):
    steps: list[int]            # after so many steps
    low: list[float]
    high: list[float]
    seeds: int

    def judge(self, losses: Sequence[float]) -> str:
        """A sentence about the last step that the band knows and the run has reached."""
        reached = [i for i, step in enumerate(self.steps) if step <= len(losses)]
        if not reached:
            return ""
        outside = [i for i in reached if not self.low[i] <= smooth(losses, self.steps[i]) <= self.high[i]]
        i = outside[0] if outside else reached[-1]
        loss = smooth(losses, self.steps[i])
        where = "inside" if not outside else "below" if loss < self.low[i] else "above"
        said = f"{loss:.3f} at step {self.steps[i]}: {where} {self.low[i]:.3f}–{self.high[i]:.3f}, where {self.seeds} runs of this recipe lay"
        return said + ("." if not outside else f" ({len(outside)} of {len(reached)} steps that were compared lie outside): something is different here.")


def smooth(losses: Sequence[float], step: int) -> float:
    """The mean of the last losses after so many steps."""
    last = losses[max(0, step - WINDOW):step]
    return sum(last) / len(last)


def key(recipe: Recipe, data: Any) -> str:
    """The hash of all that decides a loss curve, but for the seed. data: the Batches of training."""
    training = {name: value for name, value in asdict(recipe.training).items() if name not in FREE_TO_CHANGE | {"seed"}}
    rows = [data.batch_size, data.context, data.order, data.masked, recipe.data.validation]
    shards = [shard.header.sha256 for shard in data.documents.tokens.shards]
    return hashlib.sha256(json.dumps([recipe.model.to_dict(), training, rows, shards], sort_keys=True).encode()).hexdigest()[:16]


def find(recipe: Recipe, data: Any) -> Band | None:
    return known().get(key(recipe, data))


def known() -> dict[str, Band]:
    entries = json.loads(resources.files(__package__).joinpath(FILE).read_text("utf-8"))
    return {name: Band(entry["steps"], entry["low"], entry["high"], entry["seeds"]) for name, entry in entries.items()}


def make(curves: Sequence[Sequence[float]], every: int) -> Band:
    """From the losses of several runs: a band at every so many steps, and at the last."""
    steps = [*range(every, len(curves[0]), every), len(curves[0])]
    low, high = [], []
    for step in steps:
        values = [smooth(losses, step) for losses in curves]
        mean = sum(values) / len(values)
        deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
        half = max(WIDTH * deviation, LEAST * mean)
        low.append(round(mean - half, 4))
        high.append(round(mean + half, 4))
    return Band(steps, low, high, len(curves))
