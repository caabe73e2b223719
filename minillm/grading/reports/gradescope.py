"""Gradescope: the results.json that it reads, and the zip that it runs for every submission.

The zip has minillm itself, the secret, and two scripts: setup.sh runs once, when the zip is uploaded, and run_autograder each time a
student hands in. Whatever an autograder may say is said: scores, a number and a state for each test, formats, visibility.
"""

import io
import json
import os
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import minillm

from ..classes import late as lateness
from ..classes import run
from ..classes import secret as secrets
from ..classes.points import ExerciseResult, Graded, Result, number
from ..sandbox import RANK
from .page import marked, plain
from .student import likely, notes, split

PACKAGE = Path(minillm.__file__).parent
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")


def results(result: Result, seconds: float | None = None, visibility: str = "visible", leaderboard: bool = False) -> dict:
    """results.json as an object. `score` is given because being late and points set by hand make it another than the tests' sum. A
    leaderboard is shown to the whole class, so there is one only if it is asked for."""
    if visibility not in VISIBILITIES:
        raise ValueError(f"The visibility {visibility!r} is none that Gradescope knows: {', '.join(VISIBILITIES)}.")
    tests = [test(exercise, f"{i}.{j}", graded, visibility) for i, exercise in enumerate(result.exercises, 1)
             for j, graded in enumerate(exercise.checks, 1)]
    hand = [f"{exercise.title}: {number(exercise.points)} points, set by hand: {exercise.by_hand}" for exercise in result.exercises
            if exercise.by_hand is not None]
    found = {
        "score": result.points,
        "output": "\n\n".join(map(marked, [f"{number(result.points)} of {number(result.possible)} points.", *notes(result), *hand])),
        "output_format": "md",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": visibility,
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"minillm": minillm.__version__, "student": result.student.id, "status": result.status, "earned": result.earned,
                       "lost_by_being_late": result.lost, "exercises": {exercise.name: exercise.points for exercise in result.exercises}},
    }
    if seconds is not None:
        found["execution_time"] = round(seconds)
    if leaderboard:
        found["leaderboard"] = [{"name": "Points", "value": result.points, "order": "desc"},
                                {"name": "Checks passed", "value": sum(exercise.passed for exercise in result.exercises), "order": "desc"}]
    return found


def test(exercise: ExerciseResult, place: str, graded: Graded, visibility: str) -> dict:
    return {
        "name": f"{exercise.title}: {graded.check}",
        "name_format": "text",
        "number": place,
        "score": graded.points,
        "max_score": graded.possible,
        "status": "passed" if graded.verdict.status == "passed" else "failed",
        "output": said(graded),
        "output_format": "text",
        "tags": [exercise.name, f"assignment {exercise.assignment}"],
        "visibility": visibility,
        "extra_data": {"exercise": exercise.name, "check": graded.check, "status": graded.verdict.status, "diagnosis": graded.verdict.diagnosis},
    }


def said(graded: Graded) -> str:
    called, found = split(graded)
    lines = [f"It checks that {graded.title}.", f"Called: {called}" if called else "", found]
    lines.append(" ".join(likely(graded) or ()).strip())
    if graded.by_hand is not None:
        lines.append(f"Points set by hand: {graded.by_hand}")
    return plain("\n".join(line for line in lines if line))


# --- the zip -----------------------------------------------------------------------------------------------------------------------

SETUP = """#!/usr/bin/env bash
# Runs once, when the autograder is built: Python 3.11 or newer, and what minillm imports.
set -euo pipefail
ROOT="${MINILLM_AUTOGRADER:-/autograder}"

python_found() {
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" > /dev/null && "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$name"
            return
        fi
    done
}

if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update
    apt-get install -y bubblewrap || echo "There is no bubblewrap: students' functions run in the next best sandbox."
    [ -n "$(python_found)" ] || apt-get install -y python3.12 python3.12-venv || apt-get install -y python3.11 python3.11-venv
fi
PYTHON="$(python_found)"
[ -n "$PYTHON" ] || { echo "minillm needs Python 3.11 or newer, and there is none: choose a newer base image." >&2; exit 1; }
"$PYTHON" -m venv "$ROOT/minillm-venv"
"$ROOT/minillm-venv/bin/python" -m pip install --quiet -r "$ROOT/source/requirements.txt"
chmod -R go-rwx "$ROOT/source"
"""

RUN = """#!/usr/bin/env bash
# Runs for every submission, and writes results/results.json.
set -euo pipefail
export MINILLM_AUTOGRADER="${MINILLM_AUTOGRADER:-/autograder}"
PYTHON="$MINILLM_AUTOGRADER/minillm-venv/bin/python"
[ -x "$PYTHON" ] || PYTHON="${MINILLM_PYTHON:-python3}"
cd "$MINILLM_AUTOGRADER"
export PYTHONPATH="$MINILLM_AUTOGRADER/source"
exec "$PYTHON" -m minillm.grading.reports.autograder
"""


def make(path: Path, assignment: int | None, secret: Path | None, late: Path | None = None, sandbox: str | None = None, visibility: str = "visible",
         leaderboard: bool = False, variants: bool = False) -> str:
    """Writes the zip, and says what it is."""
    if visibility not in VISIBILITIES:
        raise ValueError(f"The visibility {visibility!r} is none that Gradescope knows: {', '.join(VISIBILITIES)}.")
    exercises = run.chosen(assignment)
    if late:
        lateness.read(late)                      # a mistake in it is told here, not there
    if sandbox is not None and sandbox not in RANK:
        raise ValueError(f"There is no sandbox {sandbox!r}; there are {', '.join(RANK)}.")
    if secret is None:
        raise ValueError("Name the class's secret with --secret FILE (it is made if it is missing): the zip takes a copy, and a regrade needs "
                         "the same.")
    key, _ = secrets.read(secret)
    settings = {"assignment": assignment, "sandbox": sandbox, "visibility": visibility, "leaderboard": leaderboard, "variants": variants}
    autograder_zip(path, key, settings, late.read_text("utf-8") if late else None)
    points = sum(sum(exercise.points.values()) for exercise in exercises)
    return (f"{path}: {len(exercises)} exercises, {number(points)} points. Upload it as the autograder, and show it to nobody: the secret of "
            "your hidden inputs is in it.")


def autograder_zip(path: Path, secret: bytes, settings: dict, late: str | None = None) -> None:
    """Written for its owner alone: it holds the secret."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        put(archive, "setup.sh", SETUP, 0o755)
        put(archive, "run_autograder", RUN, 0o755)
        put(archive, "requirements.txt", "\n".join(requirements()) + "\n")
        put(archive, "settings.json", json.dumps(settings, indent=2) + "\n")
        put(archive, "secret", secret.decode() + "\n", 0o600)
        if late is not None:
            put(archive, "late.toml", late)
        for file in sorted(PACKAGE.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                put(archive, f"minillm/{file.relative_to(PACKAGE).as_posix()}", file.read_bytes())
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(out.getvalue())


def put(archive: zipfile.ZipFile, name: str, data: str | bytes, mode: int = 0o644) -> None:
    info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))            # the same files make the same zip
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def requirements() -> list[str]:
    """What minillm imports, as its installation says; a checkout that was never installed says it in setup.cfg."""
    try:
        return [line for line in requires("minillm") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        import configparser
        found = configparser.ConfigParser()
        found.read(PACKAGE.parent / "setup.cfg", "utf-8")
        return found["options"]["install_requires"].split()
