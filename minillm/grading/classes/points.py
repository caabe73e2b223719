"""From verdicts to points: a check that passed earns its points, what was set by hand takes their place, being late takes its share.

What the grader itself couldn't judge is neither earned nor lost: it stays `open` until a later run, or a person, decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ...exercises import Exercise
from ..checking import Verdict
from .late import Late
from .overrides import Override
from .roster import Student
from .submissions import Submission

OPEN = "error"                                   # Verdict's word for a failure of the grader


@dataclass(frozen=True)
class Graded:
    """One check of one student, with its points."""
    check: str
    title: str
    verdict: Verdict
    points: float
    possible: float
    by_hand: str | None = None                   # the reason, where a person set the points

    @property
    def open(self) -> float:
        return self.possible if self.verdict.status == OPEN and self.by_hand is None else 0.0


@dataclass(frozen=True)
class ExerciseResult:
    name: str
    title: str
    assignment: int
    checks: tuple[Graded, ...]
    set_points: float | None = None              # of the whole exercise, by hand
    by_hand: str | None = None

    @property
    def points(self) -> float:
        return sum(each.points for each in self.checks) if self.set_points is None else self.set_points

    @property
    def possible(self) -> float:
        return sum(each.possible for each in self.checks)

    @property
    def open(self) -> float:
        return sum(each.open for each in self.checks) if self.set_points is None else 0.0

    @property
    def passed(self) -> int:
        return sum(each.verdict.status == "passed" for each in self.checks)


@dataclass(frozen=True)
class Result:
    """Everything that there is to say about one student."""
    student: Student
    exercises: tuple[ExerciseResult, ...]
    late: Mapping[int, Late] = field(default_factory=dict)      # by assignment
    submitted: datetime | None = None
    handed_in: tuple[str, ...] = ()              # the names of what was handed in
    refused: str | None = None

    @property
    def earned(self) -> float:
        return sum(each.points for each in self.exercises)

    @property
    def lost(self) -> float:
        """By being late."""
        return sum(each.points * (1 - self.late[each.assignment].share) for each in self.exercises if each.assignment in self.late)

    @property
    def points(self) -> float:
        return round(self.earned - self.lost, 6)

    @property
    def possible(self) -> float:
        return sum(each.possible for each in self.exercises)

    @property
    def open(self) -> float:
        return sum(each.open for each in self.exercises)

    @property
    def status(self) -> str:
        """graded, open (the grader failed), refused, or missing (nothing was handed in)."""
        return "refused" if self.refused else "open" if self.open else "graded" if self.handed_in else "missing"


def scored(submission: Submission, exercises: list[Exercise], verdicts: Mapping[str, Mapping[str, Verdict]],
           overrides: Mapping[tuple[str, str, str], Override], late: Mapping[int, Late]) -> Result:
    """`verdicts`: exercise → check → verdict, one for each check of each exercise."""
    results = []
    for exercise in exercises:
        checks = []
        for check in exercise.checks:
            verdict, possible = verdicts[exercise.name][check.name], float(exercise.points[check.name])
            hand = overrides.get((submission.student.id, exercise.name, check.name))
            earned = possible if verdict.status == "passed" else 0.0
            checks.append(Graded(check.name, check.title, verdict, hand.points if hand else earned, possible, hand.reason if hand else None))
        hand = overrides.get((submission.student.id, exercise.name, ""))
        results.append(ExerciseResult(exercise.name, exercise.title, exercise.assignment, tuple(checks), hand.points if hand else None,
                                      hand.reason if hand else None))
    return Result(submission.student, tuple(results), late, submission.submitted, tuple(path.name for path in submission.paths), submission.refused)


def number(points: float) -> str:
    """Points as people write them: 7, 7.5, never 7.000000001."""
    return f"{round(points, 2):g}"
