"""Checks without a reference: cases, right answers and the answers of mistakes, recorded as arrays.

A class is handed these in place of the reference's code. One file an exercise: an npz with the JSON of everything and its arrays.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..exercises import Exercise, recording
from ..exercises.exercise import Case, Check, Step
from . import child
from .caller import Answer
from .checking import Prepared, Verdict, generator, prepare

RECORDING = b"recorded"          # the inputs of a recording are drawn with this as the secret


def record(exercise: Exercise, stub: str, path: Path, student: str = "") -> None:
    """Everything that a student's own checks need, but no line of the reference."""
    arrays: list[np.ndarray] = []

    def packed(values: dict[str, Any]) -> dict:
        return {name: child.pack(value, arrays) for name, value in values.items()}

    checks = []
    for check in exercise.checks:
        prepared = prepare(exercise, check, generator(RECORDING, exercise.name, check.name, student))
        checks.append({"name": check.name, "title": check.title, "after": check.after, "tolerance": check.tolerance, "says": check.says,
                       "prepared": [{"case": {**asdict(each.case), "values": packed(each.case.values)}, "expected": packed(each.expected),
                                     "mistaken": {name: packed(answer) for name, answer in each.mistaken.items()}} for each in prepared]})
    told = {"functions": list(exercise.functions), "stub": stub, "checks": checks, "advice": {each.name: each.advice for each in exercise.mistakes}}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, recorded=np.frombuffer(json.dumps(told).encode(), np.uint8), **{f"array{i}": array for i, array in enumerate(arrays)})
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_file(path, buffer.getvalue())


def read(path: Path) -> tuple[dict, dict[str, list[Prepared]]]:
    """What record() wrote: its JSON, and the prepared cases of each check."""
    told, stored = recording(path)
    arrays = {int(name[5:]): value for name, value in stored.items() if name.startswith("array")}

    def unpacked(values: dict) -> dict[str, Any]:
        return {name: child.unpack(value, arrays) for name, value in values.items()}

    def case(stored: dict) -> Case:
        steps = tuple(Step(each["function"], tuple(each["arguments"]), each["options"], tuple(each["results"])) for each in stored["steps"])
        return Case(unpacked(stored["values"]), steps, tuple(stored["compared"]), tuple(stored["may_change"]), stored["provided"])

    def whole(stored: dict) -> Prepared:
        mistaken = {name: unpacked(answer) for name, answer in stored["mistaken"].items()}
        return Prepared(case(stored["case"]), unpacked(stored["expected"]), mistaken)

    return told, {check["name"]: [whole(each) for each in check["prepared"]] for check in told["checks"]}


def prepared(exercise: Exercise, check: Check) -> list[Prepared]:
    return read(exercise.recorded)[1][check.name]


# --- slopes: does backward give the slopes of the student's own forward? ---------------------------------------------------

STEP = 3e-3                      # large enough for a forward that works in float32 inside


def judge_slopes(verdict: Verdict, prepared: Sequence[Prepared], ask: Callable[[list[Case]], list[Answer]]) -> Verdict:
    """A check whose recorded arrays were met, once more on numbers that stand in no recording: the slopes of the student's own forward."""
    rng = np.random.default_rng()
    for each in prepared:
        if [step.function for step in each.case.steps[:2]] != ["forward", "backward"]:
            continue
        case = elsewhere(each.case, rng)
        moved, directions = slopes(case, rng)
        told, *outputs = ask([case, *moved])
        fault = next((one.message for one in (told, *outputs) if one.problem), None)
        if not fault:
            results = [told.values.get(name) for name in case.steps[1].results]         # a tuple of gradients, or several results
            gradients = results[0] if len(results) == 1 else tuple(results)
            if gradients is None or gradients[0] is None:
                continue
            fault = wrong_slope(case, directions, [one.values[moved[0].compared[0]] for one in outputs], gradients)
        if fault:
            return replace(verdict, status="failed", message=f"{case}\n{fault}")
    return verdict


def elsewhere(case: Case, rng: np.random.Generator) -> Case:
    """The same calls on other numbers."""
    return replace(case, values={name: value + 0.3 * rng.normal(size=value.shape) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value
                                 for name, value in case.values.items()})


def slopes(case: Case, rng: np.random.Generator) -> tuple[list[Case], list[tuple[str, np.ndarray]]]:
    """For each float input of a case that goes forward and then backward: a direction, and the two cases a small step along it to
    either side. Σ dy·y, with dy the upstream gradient, changes between them by 2h times ⟨gradient, direction⟩."""
    first = replace(case, steps=case.steps[:1], compared=case.steps[0].results[:1])
    moved, directions = [], []
    for name in case.steps[0].arguments:
        value = case.values.get(name)                             # None: a module that is handed in
        if isinstance(value, np.ndarray) and value.dtype == np.float64:
            direction = rng.normal(size=value.shape)
            directions.append((name, direction))
            moved += [replace(first, values={**case.values, name: value + sign * STEP * direction}) for sign in (1, -1)]
    return moved, directions


def wrong_slope(case: Case, directions: Sequence[tuple[str, np.ndarray]], outputs: Sequence[np.ndarray], gradients: tuple,
                tolerance: float = 2e-3) -> str | None:
    """A sentence about the first input whose gradient isn't the slope. `outputs`: forward's, in the order of slopes()'s cases."""
    dy = case.values[case.steps[1].arguments[0]]
    entries = [name for name in case.steps[0].arguments if isinstance(value := case.values.get(name), np.ndarray) and value.dtype.kind == "f"]
    for i, (name, direction) in enumerate(directions):
        up, down = (np.asarray(each, np.float64) for each in outputs[2 * i:2 * i + 2])
        slope, told = float(np.sum(dy * (up - down))) / (2 * STEP), float((np.asarray(gradients[entries.index(name)]) * direction).sum())
        if not abs(slope - told) <= tolerance * (abs(slope) + np.linalg.norm(direction)):
            return (f"d{name} is not the slope of your forward: along a random direction the output changes by {slope:.6g}, "
                    f"and your gradient says {told:.6g}.")
    return None
