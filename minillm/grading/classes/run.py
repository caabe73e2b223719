"""Grading a class, whole: what has to be graded, grading it into the journal, and everybody's points from there."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import minillm

from ...exercises import Exercise, load, names
from ...exercises.variants import variant
from .. import sandbox
from ..checking import Verdict
from . import journal as journals
from . import late as lateness
from . import overrides as by_hand
from . import points, pool, roster, secret, submissions
from .journal import Journal, Key
from .pool import Done
from .roster import Student
from .submissions import Found, Submission
from .worker import Task


@dataclass(frozen=True)
class Settings:
    """What a teacher says. Files that aren't named are looked for in `out`, where they are overrides.csv, late.toml and secret."""
    out: Path
    roster: Path | None = None
    assignment: int | None = None
    secret: Path | None = None
    overrides: Path | None = None
    late: Path | None = None
    due: str | None = None
    workers: int = 1
    sandbox: str | None = None                   # the least that will do
    regrade: tuple[str, ...] = ()
    variants: bool = False                       # the class was asked what its secret draws in place of public exercises
    student: Student | None = None               # whose the one submission is, where its name doesn't tell


@dataclass
class Graded:
    """A class after grading. `failures`: (student, exercise, check) → how the grader failed."""
    results: list[points.Result]
    found: Found
    exercises: list[Exercise]
    failures: dict[tuple[str, str, str], str]
    notes: list[str] = field(default_factory=list)
    judged: int = 0                              # checks that were judged in this run; the others stood in the journal
    seconds: float = 0.0


def chosen(assignment: int | None) -> list[Exercise]:
    exercises = [load(name) for name in names()]
    found = [exercise for exercise in exercises if assignment in (None, exercise.assignment)]
    if not found:
        there = sorted({exercise.assignment for exercise in exercises})
        raise ValueError(f"There is no assignment {assignment}; there are {', '.join(map(str, there))}.")
    return found


def grade(place: Path, settings: Settings, watch: Callable[[Task | Done | int], None] = lambda event: None) -> Graded:
    """Grades what isn't graded yet. `watch` is told the number of tasks first, then each task when it begins and when it is done."""
    exercises = chosen(settings.assignment)
    students = roster.read(settings.roster) if settings.roster else None
    found = submissions.find(place, students, [exercise.name for exercise in exercises], settings.student, settings.out)
    policy = lateness.read(settings.late or existing(settings.out / "late.toml"), settings.due)
    settings.out.mkdir(mode=0o700, parents=True, exist_ok=True)  # grades, and the secret
    key, warning = secret.read(settings.secret or settings.out / "secret")
    if settings.variants:
        exercises = [variant(exercise, key) for exercise in exercises]
    hand = settings.overrides or existing(settings.out / "overrides.csv")
    everyone = {name: load(name) for name in names()}
    overrides = by_hand.read(hand, [each.student.id for each in found.submissions], everyone) if hand else {}
    graded = Graded([], found, exercises, {}, [warning] if warning else [])
    definitions = {exercise.name: journals.definition(exercise, secret.fingerprint(key)) for exercise in exercises}
    journal = Journal(settings.out / "journal.jsonl")
    try:
        if journal.unread:
            lines = f"{journal.unread} line{'s' * (journal.unread > 1)}"
            graded.notes.append(f"{journal.path}: {lines} couldn't be read; what stood there is graded again.")
        if settings.regrade:
            forget(journal, found, exercises, definitions, settings.regrade)
        if tasks := missing(journal, found, exercises, definitions, settings.variants):
            judge(tasks, journal, settings, key, definitions, graded, watch)
        graded.results = [result(journal, each, exercises, definitions, overrides, policy, graded.failures) for each in found.submissions]
    finally:
        journal.close()
    return graded


def judge(tasks: list[Task], journal: Journal, settings: Settings, key: bytes, definitions: Mapping[str, str], graded: Graded,
          watch: Callable[[Task | Done | int], None]) -> None:
    """In the best sandbox there is, if it is good enough; each verdict is on the disk before the next is waited for."""
    kept_in = sandbox.best()
    sandbox.require(kept_in, settings.sandbox or kept_in.tier)
    graded.notes.append(sandbox.describe(kept_in))
    journal.begin(tasks=len(tasks), sandbox=kept_in.tier, version=minillm.__version__)
    watch(len(tasks))
    for event in pool.run(tasks, key, kept_in.tier, settings.workers):
        if isinstance(event, Done):
            keep(journal, event, definitions, graded)
        watch(event)


def existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def keys(submission: Submission, exercise: Exercise, definition: str) -> dict[str, Key]:
    """check → its place in the journal."""
    source = journals.hash_of(submission.sources[exercise.name])
    return {check.name: Key(submission.student.id, exercise.name, check.name, source, definition) for check in exercise.checks}


def text_of(source: bytes) -> str | None:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def missing(journal: Journal, found: Found, exercises: list[Exercise], definitions: Mapping[str, str], variants: bool = False) -> list[Task]:
    """A task for each exercise of each student that has a check without a verdict."""
    tasks = []
    for submission in found.submissions:
        for exercise in exercises:
            source = text_of(submission.sources.get(exercise.name, b"\xff"))
            if source is None:                   # nothing that could be run
                continue
            place = keys(submission, exercise, definitions[exercise.name])
            known = {check: journals.told(journal.verdicts[key]) for check, key in place.items() if key in journal.verdicts}
            if len(known) < len(place):
                tasks.append(Task(submission.student.id, exercise.name, source, next(iter(place.values())).submission, known, variants))
    return tasks


def keep(journal: Journal, done: Done, definitions: Mapping[str, str], graded: Graded) -> None:
    """Into the journal; failures of the grader too, where they don't count."""
    task = done.task
    failed = [Verdict(task.exercise, check, points.OPEN, message) for check, message in done.failures.items()]
    journal.add([(Key(task.student, task.exercise, verdict.check, task.submission, definitions[task.exercise]), verdict)
                 for verdict in [*done.verdicts, *failed]], done.seconds)
    graded.failures |= {(task.student, task.exercise, verdict.check): verdict.message for verdict in failed}
    graded.judged += len(done.verdicts)
    graded.seconds += done.seconds


def result(journal: Journal, submission: Submission, exercises: list[Exercise], definitions: Mapping[str, str],
           overrides: Mapping[tuple[str, str, str], by_hand.Override], policy: lateness.Policy,
           failures: Mapping[tuple[str, str, str], str]) -> points.Result:
    """The points of one student, from what stands in the journal. What stands nowhere is open."""
    student = submission.student
    verdicts: dict[str, dict[str, Verdict]] = {}
    for exercise in exercises:
        def all_of(status: str, message: str) -> dict[str, Verdict]:
            return {check.name: Verdict(exercise.name, check.name, status, message) for check in exercise.checks}
        source = submission.sources.get(exercise.name)
        if source is None:
            why = "The submission was refused." if submission.refused else f"{exercise.name}.py was not handed in."
            verdicts[exercise.name] = all_of("not started", why)
        elif text_of(source) is None:
            verdicts[exercise.name] = all_of("failed", f"{exercise.name}.py isn't text in UTF-8, so it can't be run.")
        else:
            verdicts[exercise.name] = all_of(points.OPEN, "It is not graded yet.")
            for check, key in keys(submission, exercise, definitions[exercise.name]).items():
                if key in journal.verdicts:
                    verdicts[exercise.name][check] = journal.verdicts[key]
                elif why := failures.get((student.id, exercise.name, check)):
                    verdicts[exercise.name][check] = Verdict(exercise.name, check, points.OPEN, why)
    late = lateness.lateness(policy, student, submission.submitted, sorted({exercise.assignment for exercise in exercises}))
    return points.scored(submission, exercises, verdicts, overrides, late)


# --- grading again ---------------------------------------------------------------------------------------------------------------

def forget(journal: Journal, found: Found, exercises: list[Exercise], definitions: Mapping[str, str], asked: Iterable[str]) -> None:
    """Takes back the verdicts of the checks asked for, and of those that build on them. A regrade that was interrupted is continued."""
    checks = named(exercises, asked)
    current = {key for submission in found.submissions for exercise in exercises if exercise.name in submission.sources
               for key in keys(submission, exercise, definitions[exercise.name]).values()}
    if not any(f"{key.exercise}.{key.check}" in checks for key in journal.forgotten & current):
        journal.regrade(checks)


def named(exercises: list[Exercise], asked: Iterable[str]) -> set[str]:
    """`rmsnorm` or `rmsnorm.backward`, with all checks that come after them."""
    found = set()
    for each in asked:
        name, _, check = each.partition(".")
        exercise = next((exercise for exercise in exercises if exercise.name == name), None)
        if exercise is None:
            raise ValueError(f"There is no exercise {name!r} to grade again; there are {', '.join(exercise.name for exercise in exercises)}.")
        if check and check not in exercise.points:
            raise ValueError(f"{name} has no check {check!r}; it has {', '.join(exercise.points)}.")
        again = {check} if check else set(exercise.points)
        for later in exercise.checks:            # in order: a check comes after those that it needs
            if again & set(later.after):
                again.add(later.name)
        found |= {f"{name}.{check}" for check in again}
    return found
