"""Deadlines as data: late.toml.

    due = 2026-10-01T23:59:00+02:00       for all assignments; or a table: [due] and below it, 1 = …, 2 = …
    grace_minutes = 15                    as good as in time
    free_days = 3                         days that each student may be late without a loss, over all assignments of a run
    percent_per_day = 10                  of the points, for each day begun after those
    most_days = 5                         later than this, nothing counts

A student's own deadline and free days on the roster come first.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from math import ceil
from pathlib import Path

from .roster import Student, moment


@dataclass(frozen=True)
class Policy:
    due: Mapping[int | None, datetime] = field(default_factory=dict)      # by assignment; None: for all others
    grace_minutes: float = 0
    free_days: int = 0
    percent_per_day: float = 10
    most_days: int | None = None


@dataclass(frozen=True)
class Late:
    """How late one assignment of one student is, and what that costs: `share` of the points remains."""
    assignment: int
    due: datetime
    submitted: datetime
    days: int
    free: int
    share: float

    def __str__(self) -> str:
        days = f"{self.days} day{'s' * (self.days != 1)} late"
        if self.share == 1:
            return f"{days}, all of them free."
        used = f", {self.free} of them free" if self.free else ""
        return f"{days}{used}: {1 - self.share:.0%} of the points are taken off."


def read(path: Path | None, due: str | None = None) -> Policy:
    """The policy of a file; `due` in place of its deadline. No file and no deadline: nobody is late."""
    found = {}
    if path:
        try:
            found = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise ValueError(f"{path} can't be read as TOML: {problem}.") from None
    known = {each.name for each in fields(Policy)}
    if unknown := found.keys() - known:
        raise ValueError(f"{path} has unknown fields: {', '.join(sorted(unknown))}. There are {', '.join(sorted(known))}.")
    for name in known - {"due"} & found.keys():
        if isinstance(found[name], bool) or not isinstance(found[name], int | float) or found[name] < 0:
            raise ValueError(f"{path}: {name} must be a number, 0 or more, not {found[name]!r}.")
    try:
        given = due or found.get("due", {})
        by_assignment = given if isinstance(given, dict) else {None: given}
        return Policy(**{**found, "due": {None if name is None else int(name): as_moment(value) for name, value in by_assignment.items()}})
    except ValueError as problem:
        raise ValueError(f"{path or '--due'}: {problem}. A deadline looks like 2026-10-01T23:59+02:00; a table of them has assignments "
                         "as its names.") from None


def as_moment(value: object) -> datetime:
    if not isinstance(value, datetime | date | str):
        raise ValueError(f"{value!r} is no moment")
    return moment(str(value))


def lateness(policy: Policy, student: Student, submitted: datetime | None, assignments: list[int]) -> dict[int, Late]:
    """The assignments of a submission that are late. Free days are spent on the earlier assignments first."""
    left = policy.free_days if student.late_days is None else student.late_days
    found = {}
    for assignment in sorted(assignments):
        due = student.due or policy.due.get(assignment, policy.due.get(None))
        if due is None or submitted is None or submitted <= due + timedelta(minutes=policy.grace_minutes):
            continue
        days = ceil((submitted - due) / timedelta(days=1))
        free = min(left, days)
        left -= free
        too_late = policy.most_days is not None and days - free > policy.most_days
        share = 0.0 if too_late else max(0.0, 1 - policy.percent_per_day / 100 * (days - free))
        found[assignment] = Late(assignment, due, submitted, days, free, share)
    return found
