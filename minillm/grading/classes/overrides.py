"""Points set by hand: overrides.csv, with a reason for each. They survive every regrade, and every report says that they were set.

    student, exercise, check, points, reason

An empty check sets the points of the whole exercise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ...exercises import Exercise
from ...files import quoted
from .roster import read_table

COLUMNS = ["student", "exercise", "check", "points", "reason"]


@dataclass(frozen=True)
class Override:
    student: str
    exercise: str
    check: str                                   # "": the whole exercise
    points: float
    reason: str


def read(path: Path, students: Iterable[str], exercises: Mapping[str, Exercise]) -> dict[tuple[str, str, str], Override]:
    """By (student, exercise, check). Lines of exercises that aren't graded now are passed over; a name that nothing has is an error."""
    students, found, lines = {student.casefold(): student for student in students}, {}, {}
    for line, row in read_table(path):
        where = f"{path}, line {line}"
        if missing := [column for column in COLUMNS if column not in row and column != "check"]:
            raise ValueError(f"{path}: there is no column {missing[0]}. Its first line must name {', '.join(COLUMNS)}.")
        student, exercise, check = row["student"], row["exercise"], row.get("check", "")
        if student.casefold() not in students:
            raise ValueError(f"{where}: there is no student {quoted(student)}.")
        if exercise not in exercises:
            raise ValueError(f"{where}: there is no exercise {quoted(exercise)}; there are {', '.join(exercises)}.")
        if check and check not in exercises[exercise].points:
            raise ValueError(f"{where}: {exercise} has no check {quoted(check)}; it has {', '.join(exercises[exercise].points)}.")
        if not row["reason"]:
            raise ValueError(f"{where}: points set by hand need a reason; their student will read it.")
        key = students[student.casefold()], exercise, check
        if key in found:
            raise ValueError(f"{path}: lines {lines[key]} and {line} set the same points.")
        found[key], lines[key] = Override(*key, number(row["points"], where), row["reason"]), line
    return found


def number(text: str, where: str) -> float:
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = -1.0
    if not isfinite(points) or points < 0:
        raise ValueError(f"{where}: points must be a number, 0 or more, not {quoted(text)}.")
    return points
