"""grades.csv: a line for each student, for spreadsheets, which take a cell that begins with =, +, - or @ for a formula and run it."""

import csv
import io
import re

from ..classes.points import Result, number
from .page import plain

# also their wide forms, which some spreadsheets fold into the plain ones
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def cell(value: object) -> object:
    """Numbers stay; text that a spreadsheet would run gets an apostrophe in front, which makes it text again."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return number(value)
    text = re.sub(r"([;\t\n]\s*)(?=[=+\-@])", r"\1'", plain(str(value)))      # where semicolons separate, the formula may stand after one
    return f"'{text}" if str(value).lstrip(" ").startswith(FORMULA) else text


def grades(results: list[Result]) -> str:
    """Columns: who; status; the sum; what was lost by being late, is open, was set by hand; then each exercise and each of its checks."""
    exercises = results[0].exercises if results else ()
    head = ["id", "name", "status", "points", "possible", "lost by being late", "open", "set by hand", "days late", "note"]
    head += [name for each in exercises for name in (each.name, *(f"{each.name}.{check.check}" for check in each.checks))]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow([cell(name) for name in head])
    for result in results:
        hand = [each.name for each in result.exercises if each.by_hand is not None]
        hand += [f"{each.name}.{check.check}" for each in result.exercises for check in each.checks if check.by_hand is not None]
        row = [result.student.id, result.student.name, result.status, result.points, result.possible, result.lost, result.open, ", ".join(hand),
               max((late.days for late in result.late.values()), default=0), result.refused]
        row += [points for each in result.exercises for points in (each.points, *(check.points for check in each.checks))]
        writer.writerow([cell(value) for value in row])
    return out.getvalue()
