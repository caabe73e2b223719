"""To judge many submissions fast: what the child does, done in this process, for files that are known to be harmless."""

import functools
import runpy
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from minillm import exercises
from minillm.exercises.solutions import solution
from minillm.grading import checking, child, wire
from minillm.grading.caller import Answer, failed
from minillm.grading.checking import Prepared, Verdict

HERE = Path(__file__).parent


@functools.cache
def prepared(name: str, check: str, seed: int, mistakes: bool = True) -> list[Prepared]:
    """`mistakes`: who only asks whether something passes can do without them, and is much faster."""
    exercise = exercises.load(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                           # mistakes divide by zero and overflow: that is what is wrong with them
        return checking.prepare(exercise if mistakes else replace(exercise, mistakes=()), exercise.check(check), np.random.default_rng([seed,
            *check.encode()]))


def sent(value):
    """A value as it arrives on the other side of the pipe."""
    arrays: list = []
    return wire.unpack(wire.pack(value, arrays), arrays)


def answer(functions, each: Prepared, filename: str) -> Answer:
    values = {name: sent(value) for name, value in each.case.values.items()}
    values |= {name: child.module(name, source, f"<{name}>") for name, source in each.case.provided.items()}
    told = [*each.case.compared, *(name for name in each.case.values if name not in each.case.compared)]
    try:
        results = child.perform(functions, [asdict(step) for step in each.case.steps], values)
    except Exception as error:
        return failed(child.problem(error, filename))
    return Answer({name: sent(results[name]) for name in told})


def verdicts(name: str, source: str | dict, seed: int = 0, mistakes: bool = True) -> dict[str, Verdict]:
    """All checks of a submission: its source, or its functions. As checking.run does, but in this process, and every check is tried."""
    exercise, filename, judged, excluded = exercises.load(name), f"exercises/{name}.py", {}, set()
    advice = {wrong.name: wrong.advice for wrong in exercise.mistakes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functions = source if isinstance(source, dict) else vars(child.module("student", source, filename))
        for check in exercise.checks:
            cases = prepared(name, check.name, seed, mistakes)
            answers = [answer(functions, each, filename) for each in cases]
            judged[check.name] = checking.judge(check.name, cases, answers, name, advice, check.tolerance, excluded, check.says)
            if judged[check.name].status == "passed":
                excluded |= checking.shown_by(cases)
    return judged


# --- the submissions ---------------------------------------------------------------------------------------------------------------

def different_solutions() -> list[tuple[str, str]]:
    """(exercise, how) for each solutions/EXERCISE_how.py: right, but not the reference's way."""
    names = sorted(exercises.names(), key=len, reverse=True)
    return [next((name, path.stem.removeprefix(f"{name}_")) for name in names if path.stem.startswith(f"{name}_"))
            for path in sorted((HERE / "solutions").glob("*.py"))]


def different_solution(name: str, how: str) -> str:
    return (HERE / "solutions" / f"{name}_{how}.py").read_text("utf-8")


@dataclass(frozen=True)
class Wrong:
    """A submission with a planted mistake. `fails`: the first check that it must fail. `diagnosis`: the name that the mistake should get,
    None where the grader had better say that it can't tell."""
    exercise: str
    name: str
    source: str
    fails: str
    diagnosis: str | None

    def __str__(self) -> str:
        return f"{self.exercise}: {self.name}"


def wrong_submissions() -> list[Wrong]:
    """wrong/EXERCISE.py has a list WRONG of dict(name, fails, diagnosis, and either source, a whole file, or `of`, one of solutions/ or
    "model", with `edits`: (old, new), …, each old standing there exactly once)."""
    found = []
    for path in sorted((HERE / "wrong").glob("*.py")):
        for entry in runpy.run_path(str(path))["WRONG"]:
            found.append(Wrong(path.stem, entry["name"], entry.get("source") or edited(path.stem, entry), entry["fails"], entry["diagnosis"]))
    return found


@functools.cache
def of_wrong(wrong: Wrong, seed: int = 0) -> dict[str, Verdict]:
    return verdicts(wrong.exercise, wrong.source, seed)


def edited(exercise: str, entry: dict) -> str:
    source = solution(exercise) if entry["of"] == "model" else different_solution(exercise, entry["of"])
    for old, new in entry["edits"]:
        if source.count(old) != 1:
            raise ValueError(f"wrong/{exercise}.py, {entry['name']}: {old!r} stands {source.count(old)} times in {entry['of']}, not once.")
        source = source.replace(old, new)
    return source
