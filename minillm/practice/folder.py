"""Where a student works: a folder with a file for each exercise, and a record of what was checked.

.progress.json holds, for each exercise, the last verdicts with the hash of the file that they belong to, and how many hints were shown.
Losing it loses no work.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import files
from ..exercises import load, names
from ..exercises.stubs import fingerprint, released, stub
from ..grading.checking import Verdict


def nearest() -> Path:
    """MINILLM_EXERCISES, or the nearest folder `exercises` from here upwards."""
    if chosen := os.environ.get("MINILLM_EXERCISES"):
        if not Path(chosen).is_dir():
            raise ValueError(f"MINILLM_EXERCISES names {chosen}, which is no folder.")
        return Path(chosen)
    for place in (Path.cwd(), *Path.cwd().parents):
        if (place / "exercises").is_dir() and not (place / "exercises" / "exercise.py").is_file():      # not the package's own
            return place / "exercises"
    raise ValueError("There is no folder `exercises` here or above. `minillm exercises start exercises` makes one; MINILLM_EXERCISES names another.")


CONFTEST = '''"""`pytest exercises/` runs the same checks as `minillm exercises check`."""

from minillm.practice.as_tests import pytest_collect_file  # noqa: F401
'''


class Folder:
    """A student's exercises."""

    def __init__(self, path: str | Path | None = None):
        self.path = nearest() if path is None else Path(path)
        self.record_path = self.path / ".progress.json"

    def file(self, name: str) -> Path:
        load(name)                                                # a wrong name is a sentence
        return self.path / f"{name}.py"

    def source(self, name: str) -> str | None:
        """The student's file, None if it isn't there."""
        path = self.file(name)
        if not path.is_file():
            return None
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error

    def begun(self, name: str) -> bool:
        """Is there a file that differs from every stub that was ever handed out?"""
        source = self.source(name)
        return source is not None and fingerprint(source) not in released(name) | {fingerprint(stub(load(name)))}

    # --- the record ------------------------------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """Empty where there is none yet; a damaged one is put aside."""
        if not self.record_path.is_file():
            return {}
        try:
            found = files.read_json_object(self.record_path)
            if all(isinstance(each, dict) for each in found.values()):
                return found
        except ValueError:
            pass
        aside = self.record_path.with_name(".progress-damaged.json")
        os.replace(self.record_path, aside)
        print(f"The record of your progress could not be read. It is now {aside.name}, and a new one begins. Your work is as it was: check it again.")
        return {}

    def remember(self, name: str, **facts: Any) -> None:
        record = self.record()
        record[name] = {**record.get(name, {}), **facts}
        files.write_file(self.record_path, (json.dumps(record, indent=1) + "\n").encode())

    def remember_verdicts(self, name: str, source: str, verdicts: Sequence[Verdict]) -> None:
        self.remember(name, source=fingerprint(source), verdicts=[asdict(each) for each in verdicts])

    def status(self, name: str) -> dict[str, Any]:
        """Points so far and a word: not started, passed, failed, or changed (since it was last checked)."""
        exercise, known = load(name), self.record().get(name, {})
        source = self.source(name)
        of = sum(exercise.points.values())
        if source is None or not self.begun(name):
            return {"status": "missing" if source is None else "not started", "points": 0.0, "of": of}
        passed = {each["check"] for each in known.get("verdicts", []) if each["status"] == "passed"}
        points = sum(worth for check, worth in exercise.points.items() if check in passed)
        if known.get("source") != fingerprint(source):
            return {"status": "changed", "points": points, "of": of}
        return {"status": "passed" if points == of else "failed", "points": points, "of": of}

    # --- stubs -----------------------------------------------------------------------------------------------------------

    def update(self) -> Iterator[tuple[str, str]]:
        """Brings every stub up to date that the student hasn't begun. Says of an exercise: new, updated, or kept, where it is theirs and
        this release asks something else than the last one they had: the new stub is then put into updates/, beside their work."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "conftest.py").is_file():
            (self.path / "conftest.py").write_text(CONFTEST, "utf-8")
        for name in names():
            source, current = self.source(name), stub(load(name))
            known = self.record().get(name, {}).get("stub")
            if source is None or (source != current and not self.begun(name)):
                files.write_file(self.file(name), current.encode())
                yield name, "new" if source is None else "updated"
            elif source != current and known not in (None, fingerprint(current)):
                (self.path / "updates").mkdir(exist_ok=True)
                files.write_file(self.path / "updates" / f"{name}.py", current.encode())
                yield name, "kept"
            if known != fingerprint(current):
                self.remember(name, stub=fingerprint(current))

    def reset(self, name: str) -> Path | None:
        """The stub again; what was there goes to backups/, whose file is returned (None: there was nothing)."""
        path, backup = self.file(name), None
        if path.is_file():
            backup = self.path / "backups" / f"{name}-{datetime.now():%Y-%m-%d-%H%M%S-%f}.py"
            backup.parent.mkdir(exist_ok=True)
            shutil.copy2(path, backup)
        files.write_file(path, stub(load(name)).encode())
        return backup

