"""Progress over the whole course, as a table."""

from ..exercises import load, names
from .folder import Folder

SIGNS = {"passed": "✓", "failed": "✗", "changed": "~", "not started": "·", "missing": "?"}


def rows(folder: Folder) -> list[dict]:
    """A row for each exercise, in the order of the course."""
    return [{"name": name, "title": load(name).title, "assignment": load(name).assignment, "lesson": load(name).lesson, **folder.status(name)}
            for name in names()]


def following(folder: Folder) -> str | None:
    """The first exercise that isn't passed."""
    return next((row["name"] for row in rows(folder) if row["status"] != "passed"), None)


def lines(folder: Folder) -> list[str]:
    made, found = [], rows(folder)
    for assignment in sorted({row["assignment"] for row in found}):
        group = [row for row in found if row["assignment"] == assignment]
        made.append(f"Assignment {assignment}   {sum(row['points'] for row in group):g} of {sum(row['of'] for row in group):g} points")
        made += [f"  {SIGNS[row['status']]} {row['name']:<18}{row['points']:>4g} of {row['of']:<4g} {row['status']:<12} "
                 f"{row['title']} (lesson {row['lesson']})" for row in group]
    passed = sum(row["status"] == "passed" for row in found)
    bar = "█" * round(30 * passed / max(1, len(found)))
    points, of = (sum(row[key] for row in found) for key in ("points", "of"))
    made.append(f"{bar:░<30} {passed} of {len(found)} exercises, {points:g} of {of:g} points")
    if any(row["status"] == "changed" for row in found):
        made.append("~: changed since it was last checked")
    return made
