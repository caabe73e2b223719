"""Who is in the class: a table (CSV) with a line for each student.

    id, name, due, late_days, submitted

`id` must be there, once for each student. The others may be left out: a name; a deadline of the student's own; days that they may be
late without a loss; when they handed in. A spreadsheet's export will do: commas, semicolons or tabs, with or without a byte-order
mark, and the columns of Canvas and Moodle by their own names.
"""

import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...files import quoted

COLUMNS = {"id": ("id", "student id", "student_id", "id number", "sis user id", "username"), "name": ("name", "full name", "student"),
           "first": ("first name", "first_name"), "last": ("last name", "last_name", "surname"), "due": ("due", "deadline"),
           "late_days": ("late_days", "late days"), "submitted": ("submitted", "handed in")}
MOST_ID = 100


@dataclass(frozen=True)
class Student:
    id: str
    name: str = ""
    due: datetime | None = None                  # an extension: it replaces the assignment's
    late_days: int | None = None                 # free days of their own; None: what the policy gives
    submitted: datetime | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.name and self.name != self.id else self.id


def read_table(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, {column: cell}) for each line that isn't empty; columns in lower case."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} isn't UTF-8. Save the table as “CSV UTF-8”.") from None
    first = next(iter(text.splitlines()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        head = [cell.strip().lower() for cell in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as problem:
        raise ValueError(f"{path}, line {reader.line_num}: {problem}.") from None
    for line, row in rows:
        if len(row) > len(head):
            raise ValueError(f"{path}, line {line}: it has {len(row)} cells, and the first line names {len(head)} columns.")
    return [(line, dict(zip(head, (cell.strip() for cell in row)))) for line, row in rows]


def read(path: Path) -> dict[str, Student]:
    """The students by their ids, in the order of the table."""
    students: dict[str, Student] = {}
    lines: dict[str, int] = {}
    for line, row in read_table(path):
        cell = {kind: next((row[name] for name in names if row.get(name)), "") for kind, names in COLUMNS.items()}
        if not any(name in row for name in COLUMNS["id"]):
            raise ValueError(f"{path}: there is no column `id` in its first line ({', '.join(map(quoted, row))}).")
        if not cell["id"]:
            raise ValueError(f"{path}, line {line}: a student without an id.")
        if len(cell["id"]) > MOST_ID or any(unicodedata.category(character)[0] == "C" for character in cell["id"]):
            raise ValueError(f"{path}, line {line}: {quoted(cell['id'])} can't be an id: at most {MOST_ID} characters, all of them visible.")
        if cell["id"].casefold() in lines:
            raise ValueError(f"{path}: the id {quoted(cell['id'])} stands on lines {lines[cell['id'].casefold()]} and {line}.")
        lines[cell["id"].casefold()] = line
        try:
            students[cell["id"]] = Student(cell["id"], cell["name"] or f"{cell['first']} {cell['last']}".strip(), moment(cell["due"]),
                                           int(cell["late_days"]) if cell["late_days"] else None, moment(cell["submitted"]))
        except ValueError as problem:
            raise ValueError(f"{path}, line {line}: {problem}. A moment looks like 2026-10-01 23:59, days like 2.") from None
    if not students:
        raise ValueError(f"{path} has no students.")
    return students


def moment(text: str) -> datetime | None:
    """A day alone ends at its last second; without a time zone it is this machine's."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    if len(text) <= 10:
        found = found.replace(hour=23, minute=59, second=59)
    return found if found.tzinfo else found.astimezone()


def folded(text: str) -> str:
    """Letters and digits alone, without accents or capitals: how names are compared."""
    return "".join(character for character in unicodedata.normalize("NFKD", text).casefold() if character.isalnum())


def who(students: Mapping[str, Student], ids: list[str], name: str = "") -> Student | None | list[Student]:
    """The student with one of the ids, or else of the name, whose words may stand in another order. A list: several have that name."""
    for given in ids:
        for student in students.values():
            if student.id.casefold() == given.casefold():
                return student
    found = [student for student in students.values() if name and folded(name) in spellings(student.name)]
    return found if len(found) > 1 else next(iter(found), None)


def spellings(name: str) -> set[str]:
    words = name.replace(",", " ").split()
    return {folded("".join(words[i:] + words[:i])) for i in range(len(words))} - {""}
