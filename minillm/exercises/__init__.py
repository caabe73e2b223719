"""The exercises: what is asked, how it is checked, and what goes wrong. One pair of files each, NAME.py and NAME.toml; see exercise.py."""

import importlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .exercise import Check, Mistake

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Exercise:
    """One exercise, whole. `points` has an entry for each check."""
    name: str
    title: str
    assignment: int
    order: int                                   # its place in the course
    lesson: int
    statement: str                               # Markdown, with the mathematics
    hints: tuple[str, ...]                       # three, of rising strength
    points: Mapping[str, float]
    seconds: float                               # for one check, on the grader's machine
    megabytes: int
    functions: Mapping[str, Callable]
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...]
    operation: str | None = None                 # the field of the Ops table that it can stand in for
    recorded: Path | None = None                 # checks recorded as arrays: this copy of the course has no reference for it
    stub: str = ""                               # … and this is its stub

    def check(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)


FIELDS = {"title", "assignment", "order", "lesson", "statement", "hints", "points", "seconds", "megabytes", "operation"}


@cache
def names() -> list[str]:
    """All exercises, in the order of the course."""
    return sorted((path.stem for path in HERE.glob("*.toml")), key=lambda name: told(name)["order"])


@cache
def told(name: str) -> dict:
    """What stands in NAME.toml, refused where a field is unknown or missing."""
    path = HERE / f"{name}.toml"
    if not path.is_file():
        raise ValueError(f"There is no exercise {name!r}; there are {', '.join(names())}.")
    found = tomllib.loads(path.read_text("utf-8"))
    unknown, missing = found.keys() - FIELDS, FIELDS - {"operation"} - found.keys()
    if unknown or missing:
        raise ValueError(f"{path.name} {'has unknown fields: ' + ', '.join(sorted(unknown)) if unknown else 'lacks ' + ', '.join(sorted(missing))}.")
    if len(found["hints"]) != 3:
        raise ValueError(f"{path.name} has {len(found['hints'])} hints; an exercise has three, of rising strength.")
    return found


@cache
def load(name: str) -> Exercise:
    found = told(name)
    if (recording := HERE / "recorded" / f"{name}.npz").is_file():
        from ..grading import recorded           # the one import that points up: a recording is made and read by the grader
        return recorded.exercise(recording, name=name, **{**found, "hints": tuple(found["hints"])})
    module = importlib.import_module(f"{__name__}.{name}")
    made = Exercise(name=name, functions=dict(module.FUNCTIONS), checks=tuple(module.CHECKS), mistakes=tuple(module.MISTAKES),
                    **{**found, "hints": tuple(found["hints"])})
    if list(made.points) != [check.name for check in made.checks]:
        raise ValueError(f"{name}.toml gives points for {', '.join(made.points)}; the checks are {', '.join(c.name for c in made.checks)}.")
    return made
