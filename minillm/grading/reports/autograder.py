"""What run_autograder runs inside Gradescope: one submission, graded into results/results.json.

    source/                     the zip: settings.json, secret, late.toml if there is one
    submission/                 what the student handed in
    submission_metadata.json    who, and when

If the grader itself fails, no results are written: Gradescope then tells the staff, and nobody loses a point.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from ...files import read_json_object, write_file
from ..classes import run
from ..classes.roster import Student, moment
from . import gradescope

WORKERS = 1


def grade(root: Path) -> int:
    began = time.perf_counter()
    settings = read_json_object(root / "source" / "settings.json")
    student, due = who(root / "submission_metadata.json")
    late = root / "source" / "late.toml"
    with tempfile.TemporaryDirectory() as out:
        chosen = run.Settings(Path(out), assignment=settings["assignment"], secret=root / "source" / "secret", late=late if late.is_file() else None,
                              due=due if late.is_file() else None, workers=WORKERS, sandbox=settings["sandbox"], student=student,
                              variants=settings.get("variants", False))
        graded = run.grade(root / "submission", chosen)
    if graded.failures:
        for (_, exercise, check), why in graded.failures.items():
            print(f"The grader failed at {exercise}.{check}: {why}", file=sys.stderr)
        print("No results are written, so that this costs nobody a point. Run the autograder again.", file=sys.stderr)
        return 1
    found = gradescope.results(graded.results[0], time.perf_counter() - began, settings["visibility"], settings["leaderboard"])
    (root / "results").mkdir(exist_ok=True)
    write_file(root / "results" / "results.json", json.dumps(found, indent=2).encode())
    return 0


def who(metadata: Path) -> tuple[Student, str | None]:
    """The student (of a group, all of them), and the deadline."""
    if not metadata.is_file():
        return Student("submission"), None
    found = read_json_object(metadata)
    users = sorted(found.get("users") or [], key=lambda user: str(user.get("id")))
    name = ", ".join(str(user.get("name", "")) for user in users)
    identity = "+".join(str(user.get("id")) for user in users) or "submission"
    return Student(identity, name, submitted=moment(found.get("created_at") or "")), (found.get("assignment") or {}).get("due_date")


if __name__ == "__main__":
    sys.exit(grade(Path(os.environ["MINILLM_AUTOGRADER"])))
