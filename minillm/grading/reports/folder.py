"""The folder of results: every file in it is written whole, or not at all.

    class.html, class.md, pictures/     for the teacher
    grades.csv                          for the spreadsheet
    junit.xml                           for tools
    students/ID/                        report.html, report.md, results.json (Gradescope's)
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ...files import write_file, write_folder
from ..classes.points import Result
from ..classes.run import Graded
from . import classbook, gradescope, junit, student, tables


def write(out: Path, graded: Graded, attempts: Mapping[tuple[str, str], int]) -> list[Path]:
    """All reports; the paths of those to look at first."""
    folders = names(graded.results)

    def fill(folder: Path) -> None:
        for result in graded.results:
            place = folder / folders[result.student.id]
            place.mkdir()
            (place / "report.html").write_text(student.as_html(result), "utf-8")
            (place / "report.md").write_text(student.as_markdown(result), "utf-8")
            (place / "results.json").write_text(json.dumps(gradescope.results(result), indent=2) + "\n", "utf-8")

    write_folder(out / "students", fill)
    write_file(out / "grades.csv", tables.grades(graded.results).encode("utf-8-sig"))       # the mark lets spreadsheets see that it is UTF-8
    write_file(out / "junit.xml", junit.xml(graded.results))
    if len(graded.results) == 1 and not graded.found.strangers:
        return [out / "students" / folders[graded.results[0].student.id] / "report.html"]
    summary = classbook.Summary(graded, attempts)
    with tempfile.TemporaryDirectory() as drawn:
        pictures = summary.pictures(Path(drawn))
        write_folder(out / "pictures", lambda folder: [(folder / each.path.name).write_bytes(each.path.read_bytes()) for each in pictures])
        write_file(out / "class.html", classbook.as_html(summary, pictures, folders).encode())
        write_file(out / "class.md", classbook.as_markdown(summary, pictures, folders).encode())
    return [out / "class.html", out / "grades.csv"]


def names(results: list[Result]) -> dict[str, str]:
    """A folder's name for each id: its own where every system takes it, else with the other characters as %XX; never two alike."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for result in results:
        name = quote(result.student.id, safe=" @+-_")[:150].strip() or "_"
        if name.startswith("."):                 # hidden, or the folder above
            name = f"%2E{name[1:]}"
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        found[result.student.id] = name
    return found
