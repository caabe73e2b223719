"""What has been graded: a file of JSON lines that only ever grows. Whoever kills the grader loses what was being graded at that moment.

    {"kind": "verdict", "student": …, "exercise": …, "check": …, "submission": …, "definition": …, "seconds": …, "verdict": {…}}
    {"kind": "regrade", "checks": ["rmsnorm.backward", …]}       earlier verdicts of these checks no longer count
    {"kind": "begin", …}                                         when a run began, with which sandbox

A verdict counts for just this student, check, source (`submission`: its hash) and definition of the exercise, reference and grader
among it (`definition`: their hash). A changed submission, or a changed exercise, is therefore graded again. A line that was torn by a
crash is passed over. Verdicts "error", the grader's own failures, are kept on record, but never count.
"""

import hashlib
import inspect
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...exercises import Exercise
from ...exercises import exercise as exercise_module
from .. import checking
from ..checking import Verdict

GRADER = Path(checking.__file__).parent
MOST_PRINTED = 500                               # characters of a check


@dataclass(frozen=True)
class Key:
    student: str
    exercise: str
    check: str
    submission: str
    definition: str


class Journal:
    """Opened for one run. `verdicts` are those that count; `forgotten`: keys that were to be graded again, and are not yet."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.unread = path, 0
        self.verdicts: dict[Key, Verdict] = {}
        self.forgotten: set[Key] = set()
        self.file = path.open("a+b")
        try:
            self._claim()
            self._read()
        except BaseException:
            self.file.close()
            raise

    def _read(self) -> None:
        for line in lines(self.path):
            if line is None:
                self.unread += 1
            else:
                self._take(line)
        if self.path.stat().st_size and not self.path.read_bytes().endswith(b"\n"):
            self.file.write(b"\n")               # ends the torn line, so that the next one stands alone
        self.file.flush()

    def _claim(self) -> None:
        """One process at a time. The lock is the operating system's, so it is gone when the process is."""
        try:
            import fcntl
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:                      # not on Unix: no lock
            return
        except BlockingIOError:
            raise ValueError(f"{self.path.parent} is being graded into by another process. Wait for it, or choose another folder "
                             "with --out.") from None

    def _take(self, line: Mapping[str, Any]) -> None:
        if line["kind"] == "regrade":
            forgotten = {key for key in self.verdicts if f"{key.exercise}.{key.check}" in line["checks"]}
            self.verdicts = {key: verdict for key, verdict in self.verdicts.items() if key not in forgotten}
            self.forgotten |= forgotten
        elif line["kind"] == "verdict" and line["verdict"]["status"] != "error":
            key = Key(*(line[field.name] for field in fields(Key)))
            self.verdicts[key] = verdict_of(line)
            self.forgotten.discard(key)

    def add(self, graded: Iterable[tuple[Key, Verdict]], seconds: float = 0.0) -> None:
        """On the disk when this returns, all or (if the machine dies just now) only the first of them."""
        self._write([{"kind": "verdict", **asdict(key), "seconds": round(seconds, 3), "verdict": told(verdict)} for key, verdict in graded])

    def regrade(self, checks: Iterable[str]) -> None:
        self._write([{"kind": "regrade", "checks": sorted(checks)}])

    def begin(self, **what: Any) -> None:
        self._write([{"kind": "begin", **what}])

    def _write(self, found: list[dict]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.file.write("".join(json.dumps({"at": now, **line}, ensure_ascii=True) + "\n" for line in found).encode())
        self.file.flush()
        os.fsync(self.file.fileno())
        for line in found:
            self._take(line)

    def close(self) -> None:
        self.file.close()


def lines(path: Path) -> Iterable[dict | None]:
    """Each line's object; None for a line that is none."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                found = json.loads(line)
                yield found if isinstance(found, dict) and is_whole(found) else None
            except (ValueError, RecursionError):
                yield None if line.strip() else {"kind": "nothing"}


def is_whole(line: dict) -> bool:
    if line.get("kind") == "verdict":
        keyed = all(isinstance(line.get(field.name), str) for field in fields(Key))
        return keyed and isinstance(line.get("verdict"), dict) and isinstance(line["verdict"].get("status"), str)
    if line.get("kind") == "regrade":
        return isinstance(line.get("checks"), list)
    return isinstance(line.get("kind"), str)


def told(verdict: Verdict) -> dict:
    """What a verdict says, as JSON. What the student's code printed is kept in part, for the teacher: it may be long, and hold hidden inputs."""
    found = asdict(verdict) | {"printed": verdict.printed[:MOST_PRINTED]}
    return {name: value for name, value in found.items() if name not in ("exercise", "check") and value not in (None, "")}


def verdict_of(line: Mapping[str, Any]) -> Verdict:
    """A journal of an older or newer release may lack fields, or have more."""
    known = {field.name for field in fields(Verdict)} - {"exercise", "check"}
    return Verdict(line["exercise"], line["check"], **{name: value for name, value in line["verdict"].items() if name in known})


def attempts(paths: Iterable[Path]) -> dict[tuple[str, str], int]:
    """(student, exercise) → how many different files were graded, over all journals."""
    handed: dict[tuple[str, str], set[str]] = {}
    for path in paths:
        for line in lines(path):
            if line and line["kind"] == "verdict":
                handed.setdefault((line["student"], line["exercise"]), set()).add(line["submission"])
    return {key: len(hashes) for key, hashes in handed.items()}


def hash_of(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:32]


def definition(exercise: Exercise, secret: str = "") -> str:
    """A hash of what a verdict depends on beside the submission: the checks and mistakes, the references, the limits, the grader and
    (its fingerprint) the secret. Points, hints and statements may change without a regrade."""
    modules = {inspect.getmodule(function) for function in exercise.functions.values()}
    modules |= {inspect.getmodule(check.cases) for check in exercise.checks}
    files = {Path(inspect.getfile(module)) for module in [*modules, exercise_module]} | set(GRADER.glob("*.py"))
    made = hashlib.sha256(f"{exercise.name} {exercise.seconds} {exercise.megabytes} {secret}".encode())
    for file in sorted(files):
        made.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
    return made.hexdigest()[:32]
