"""The student's side of the exercises: a folder with stubs, checks of them, hints, progress."""

from pathlib import Path

from .feedback import Report
from .folder import Folder

__all__ = ["Folder", "Report", "check", "checked"]


def check(name: str) -> Report:
    """For a notebook: checks one exercise in the nearest folder `exercises`. A wrong solution is no error, but a report."""
    return checked(Folder(), name)


def checked(folder: Folder, name: str) -> Report:
    """Runs all checks of one exercise and remembers what was found."""
    from ..exercises import load
    from ..grading import checking
    exercise, path = load(name), folder.file(name)
    source = folder.source(name)
    if source is None:
        raise ValueError(f"There is no {path}. `minillm exercises update` puts the stub there.")
    shown = Path(path.parent.name) / path.name
    verdicts = checking.run(exercise, source, filename=str(shown))
    folder.remember_verdicts(name, source, verdicts)
    return Report(exercise, verdicts, str(shown))
