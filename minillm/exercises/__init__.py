"""The exercises: what is asked, how it is checked, and what goes wrong. One pair of files each, NAME.py and NAME.toml; see exercise.py."""

import importlib
import io
import json
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

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
    if (path := HERE / "recorded" / f"{name}.npz").is_file():
        return from_recording(path, name=name, **{**found, "hints": tuple(found["hints"])})
    module = importlib.import_module(f"{__name__}.{name}")
    made = Exercise(name=name, functions=dict(module.FUNCTIONS), checks=tuple(module.CHECKS), mistakes=tuple(module.MISTAKES),
                    **{**found, "hints": tuple(found["hints"])})
    if list(made.points) != [check.name for check in made.checks]:
        raise ValueError(f"{name}.toml gives points for {', '.join(made.points)}; the checks are {', '.join(c.name for c in made.checks)}.")
    return made


# --- exercises without a reference, in a class's copy (grading/recorded.py writes the recordings, and judges by them) ------------

def recording(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """What a recording says, and its arrays."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return json.loads(bytes(stored["recorded"])), {name: stored[name] for name in stored.files}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no recording of checks, or it is damaged ({error}). Take it from the archive again.") from error


def from_recording(path: Path, **told: Any) -> Exercise:
    """The exercise of a recording: it can be checked, and its stub is known, but its functions are names alone. `told`: what NAME.toml says."""
    stored, _ = recording(path)
    checks = tuple(Check(each["name"], each["title"], no_reference, tuple(each["after"]), each["tolerance"], each["says"])
                   for each in stored["checks"])
    return Exercise(functions=dict.fromkeys(stored["functions"], no_reference), checks=checks, recorded=path, stub=stored["stub"],
                    mistakes=tuple(Mistake(name, advice, {}) for name, advice in stored["advice"].items()), **told)


def no_reference(*arguments: Any) -> Any:
    raise ValueError("A recorded exercise has no reference to call.")
