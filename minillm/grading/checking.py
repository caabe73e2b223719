"""One check of one exercise: cases drawn, the reference asked, the student's answers compared, and what went wrong named."""

import functools
import hashlib
import hmac
import types
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ..exercises import Exercise
from ..exercises.exercise import Case, Check
from . import child
from .caller import Answer, Limits, ask
from .compare import difference, fair, untouched
from .diagnoses import Fault, diagnose
from .nurseries import Sandbox


@dataclass(frozen=True)
class Prepared:
    """A case with its right answer, and what each mistake would answer (mistakes that answer the same as the reference are left out).
    It is all that judging needs, so it can be recorded: no reference is called after this."""
    case: Case
    expected: Mapping[str, Any]
    mistaken: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)      # the mistake's name → its answer; {}: it raises an error


@dataclass(frozen=True)
class Verdict:
    """`status`: passed, failed, not started, not reached (a check before it failed), error (the grader's own: costs no points)."""
    exercise: str
    check: str
    status: str
    message: str = ""
    diagnosis: str | None = None                                  # the mistake's name
    advice: str | None = None
    printed: str = ""                                             # by the student's code


def generator(secret: bytes, exercise: str, check: str, student: str) -> np.random.Generator:
    """Hidden inputs: the same for the same student and check, unknown to who doesn't know the secret."""
    digest = hmac.new(secret, "\0".join((exercise, check, student)).encode(), hashlib.sha256).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@functools.cache
def provided(name: str, source: str) -> types.ModuleType:
    """What is handed in, made once for all the mistakes that are tried with it."""
    return child.module(name, source, f"<{name}>")


def performed(functions: Mapping[str, Callable], case: Case) -> dict[str, Any]:
    """The case with functions of ours, in this process, on copies."""
    from dataclasses import asdict
    values = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in case.values.items()}
    values |= {name: provided(name, source) for name, source in case.provided.items()}
    results = child.perform(functions, [asdict(step) for step in case.steps], values)
    return {name: results[name] for name in (*case.compared, *case.may_change)}


def prepare(exercise: Exercise, check: Check, rng: np.random.Generator) -> list[Prepared]:
    """The check's cases with their answers, by the reference in float64."""
    prepared = []
    for case in check.cases(rng):
        exact = Case({name: value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
                      for name, value in case.values.items()}, case.steps, case.compared, case.may_change, case.provided)
        expected, mistaken = performed(exercise.functions, exact), {}
        unequal = next((told for name, value in expected.items() if (told := difference(value, value, name))), None)
        if unequal:                                               # NaN, a complex number, something that isn't data
            raise ValueError(f"The check {check.name} asks for what no answer can equal: {unequal}")
        for wrong in exercise.mistakes:
            answer = attempted({**exercise.functions, **wrong.functions}, case)      # in the student's precision: what overflows there overflows here
            if not answer or any(difference(answer[name], expected[name], tolerance=fair_to(case, check.tolerance)) for name in expected):
                mistaken[wrong.name] = answer
        prepared.append(Prepared(case, expected, mistaken))
    return prepared


def attempted(wrong: Mapping[str, Callable], case: Case) -> dict[str, Any]:
    try:
        with np.errstate(all="ignore"):
            return performed(wrong, case)
    except Exception:                                             # such as shapes that don't fit, where a matrix was transposed
        return {}


def fair_to(case: Case, tolerance: float | None) -> float:
    return fair(case.values.values()) if tolerance is None else tolerance


def judge(check: str, prepared: list[Prepared], answers: list[Answer], exercise: str, advice: Mapping[str, str],
          tolerance: float | None = None, excluded: Set[str] = frozenset(), says: str | None = None) -> Verdict:
    """The first case that is wrong decides what is said; a diagnosis must explain every case that is wrong, and none that is right: one of
    the exercise's own mistakes, else one that can be seen from the numbers. `excluded`: mistakes that a check which was passed would have shown. `says`: the
    check's own word on what a failure of it means, where there is no diagnosis."""
    printed = answers[0].printed if answers else ""
    found = [(each, answer, fault_of(each, answer, tolerance)) for each, answer in zip(prepared, answers, strict=True)]
    faults = [(each, answer, fault) for each, answer, fault in found if fault]
    if not faults:
        return Verdict(exercise, check, "passed", printed=printed)
    first, answer, fault = faults[0]
    if answer.problem == "grader":
        return Verdict(exercise, check, "error", answer.message)
    if answer.problem == "not started":
        return Verdict(exercise, check, "not started", f"{answer.message or 'The stub'} is still to be written.", printed=printed)
    try:
        named = diagnosis(faults, tolerance, excluded | shown_by([each for each, _, fault in found if not fault]))
        if named is None and not any(answer.problem for _, answer, _ in faults):
            seen = diagnose([Fault(each.case, each.expected, answer.values, fair_to(each.case, tolerance)) for each, answer, _ in faults])
            named, advice = (seen.name, {seen.name: seen.advice}) if seen else (None, {})
    except Exception:                                             # an answer so strange that it upsets a diagnosis is still a wrong answer
        named = None
    return Verdict(exercise, check, "failed", f"{first.case}\n{fault}", named, advice.get(named) if named else says, printed)


def fault_of(prepared: Prepared, answer: Answer, tolerance: float | None) -> str | None:
    """What is wrong with one answer, or None: the numbers, and what was changed that belongs to the caller."""
    if answer.problem:
        where = f" (line {answer.line}: {answer.text.strip()})" if answer.line else ""
        return f"{answer.message}{where}"
    case = prepared.case
    differences = (difference(answer.values.get(name), expected, name, fair_to(case, tolerance)) for name, expected in prepared.expected.items())
    told = next((each for each in differences if each), None)
    changed = [name for name, value in case.values.items() if name not in (*case.may_change, *prepared.expected, *case.provided)
               and not untouched(answer.values.get(name), value)]
    warned = f"{' and '.join(changed)} {'was' if len(changed) == 1 else 'were'} changed: your function must leave what it is given as it was."
    return "\n".join([told] * bool(told) + [warned] * bool(changed)) or None


def diagnosis(faults: list[tuple[Prepared, Answer, str]], tolerance: float | None, excluded: Set[str]) -> str | None:
    """The mistake whose answers are the student's, in every case that is wrong. Where the mistake raises an error, the student's function
    must raise one too; but errors alone name nothing, since they look alike."""
    def equal(each: Prepared, answer: Answer, mistaken: Mapping[str, Any]) -> bool:
        return not any(difference(without_nan(answer.values.get(key)), without_nan(value), tolerance=fair_to(each.case, tolerance))
                       for key, value in mistaken.items())

    def explains(name: str) -> bool:
        same = [(answer.problem == "error") if not each.mistaken.get(name, True) else
                name in each.mistaken and not answer.problem and equal(each, answer, each.mistaken[name]) for each, answer, _ in faults]
        return all(same) and any(not answer.problem for _, answer, _ in faults)
    named = dict.fromkeys(name for each, _, _ in faults for name in each.mistaken if name not in excluded)
    return next((name for name in named if explains(name)), None)


def shown_by(prepared: list[Prepared]) -> set[str]:
    """The mistakes that would fail here: not made by those who pass."""
    return {name for each in prepared for name in each.mistaken}


def without_nan(value: Any) -> Any:
    """∞ for NaN: a mistake's NaN is the same as the student's."""
    if isinstance(value, tuple | list):
        return type(value)(without_nan(each) for each in value)
    floats = isinstance(value, float | np.floating) or isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return np.where(np.isnan(value), np.inf, value) if floats else value


def run(exercise: Exercise, source: str, secret: bytes = b"practice", student: str = "", filename: str | None = None,
        sandbox: Sandbox | None = None, known: Mapping[str, Verdict] = MappingProxyType({})) -> list[Verdict]:
    """All checks of one exercise, in order, each in a fresh child. `sandbox`: sandbox.best() for who grades others; None for one's own work.
    `known`: verdicts of an earlier run, which stand."""
    verdicts: dict[str, Verdict] = dict(known)
    excluded: set[str] = set()
    for check in exercise.checks:
        if check.name in known:
            continue
        before = next((name for name in check.after if verdicts[name].status != "passed"), None)
        if before:
            status = verdicts[before].status if verdicts[before].status in ("not started", "error") else "not reached"
            verdicts[check.name] = Verdict(exercise.name, check.name, status, f"{before} must pass first.")
            continue
        try:
            verdicts[check.name] = checked(exercise, check, source, generator(secret, exercise.name, check.name, student),
                                           filename or f"exercises/{exercise.name}.py", sandbox, excluded)
        except Exception as problem:                              # nothing that a student sends gets here: the check itself is wrong
            verdicts[check.name] = Verdict(exercise.name, check.name, "error", f"The check failed by itself. {type(problem).__name__}: {problem}")
    return [verdicts[check.name] for check in exercise.checks]


def checked(exercise: Exercise, check: Check, source: str, rng: np.random.Generator, filename: str, sandbox: Sandbox | None,
            excluded: set[str]) -> Verdict:
    """One check. If it passes, the mistakes that it would have shown are added to `excluded`."""
    from . import recorded
    limits, advice = Limits(exercise.seconds, exercise.megabytes), {wrong.name: wrong.advice for wrong in exercise.mistakes}
    prepared = recorded.prepared(exercise, check) if exercise.recorded else prepare(exercise, check, rng)
    answers = ask(source, [each.case for each in prepared], limits, filename, sandbox)
    verdict = judge(check.name, prepared, answers, exercise.name, advice, check.tolerance, excluded, check.says)
    if verdict.status == "passed":
        excluded |= shown_by(prepared)
        if exercise.recorded:
            return recorded.judge_slopes(verdict, prepared, lambda cases: ask(source, cases, limits, filename, sandbox))
    return verdict
