"""What a teacher reads of the whole class: how it went, check by check; which mistakes were made; who needs a look."""

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from urllib.parse import quote

from ..classes.points import Result, number
from ..classes.run import Graded
from .page import bar, escaped, marked, page, rows, table

WORDS = {"graded": "", "missing": "nothing handed in", "refused": "refused", "open": "points open: the grader failed"}


@dataclass(frozen=True)
class Picture:
    name: str                                    # of the file, pictures/NAME.png
    title: str
    alt: str
    path: Path


class Summary:
    """The numbers of a class, for both languages."""

    def __init__(self, graded: Graded, attempts: Mapping[tuple[str, str], int]):
        self.graded = graded
        self.results = graded.results
        self.judged = [result for result in self.results if result.handed_in and not result.refused]
        self.possible = self.results[0].possible if self.results else 0.0
        self.states = states(self.judged)
        self.mistakes = Counter(name for result in self.judged for name in {
            f"{exercise.name}: {check.verdict.diagnosis}" for exercise in result.exercises for check in exercise.checks if check.verdict.diagnosis})
        self.attempts = {exercise.name: [attempts[key] for result in self.results if (key := (result.student.id, exercise.name)) in attempts]
                         for exercise in graded.exercises}
        self.attempts = {name: counts for name, counts in self.attempts.items() if counts}

    @property
    def title(self) -> str:
        assignments = sorted({exercise.assignment for exercise in self.graded.exercises})
        return "Assignment " + str(assignments[0]) if len(assignments) == 1 else f"Assignments {assignments[0]} to {assignments[-1]}"

    def tiles(self) -> list[tuple[str, str]]:
        earned = [result.points for result in self.judged]
        middle = [number(of(earned)) if earned else "–" for of in (mean, median)]
        return [("students", str(len(self.results))), ("graded", str(len(self.judged))), ("nothing handed in", str(len(self.graded.found.missing))),
                ("refused", str(len(self.graded.found.refused))), (f"mean, of {number(self.possible)} points", middle[0]),
                (f"median, of {number(self.possible)} points", middle[1])]

    def concerns(self) -> list[tuple[str, list[str]]]:
        """(heading, lines) of what a teacher has to look at."""
        found = self.graded.found
        failures = [f"{student}: {exercise}.{check}: {why}" for (student, exercise, check), why in self.graded.failures.items()]
        return [(heading, told) for heading, told in (
            ("The grader failed", failures), ("Refused", [f"{each.student}: {each.refused}" for each in found.refused]),
            ("On no roster, and not graded", [f"{name}: {why}" for name, why in found.strangers]),
            ("Nothing handed in", [str(student) for student in found.missing]), ("Notes", self.graded.notes)) if told]

    def pictures(self, folder: Path) -> list[Picture]:
        from ...plot import classes
        made = []

        def draw(name: str, title: str, alt: str, function, *arguments) -> None:
            path = folder / f"{name}.png"
            function(*arguments, path)
            made.append(Picture(name, title, alt, path))

        if self.judged:
            draw("points", "Points", f"Histogram of the points of {len(self.judged)} students, of {number(self.possible)}.", classes.points,
                 [result.points for result in self.judged], self.possible)
            draw("checks", "Checks", "For each check the share of students who passed, failed, or did not get so far. The table below has the "
                 "numbers.", classes.checks, self.states)
        if self.mistakes:
            draw("mistakes", "Mistakes", "The diagnoses, by how many students have them. The table below has the numbers.",
                 classes.mistakes, self.mistakes)
        if any(count > 1 for counts in self.attempts.values() for count in counts):
            draw("attempts", "Attempts", "How many versions of each exercise students handed in: mean and most.", classes.attempts, self.attempts)
        return made


def states(results: list[Result]) -> dict[str, dict[str, dict[str, int]]]:
    """exercise → check → state → students"""
    found: dict[str, dict[str, Counter]] = {}
    for result in results:
        for exercise in result.exercises:
            for check in exercise.checks:
                state = "open" if check.verdict.status == "error" else check.verdict.status
                found.setdefault(exercise.name, {}).setdefault(check.check, Counter())[state] += 1
    return {exercise: {check: dict(counts) for check, counts in of_check.items()} for exercise, of_check in found.items()}


def check_rows(summary: Summary) -> list[list[str]]:
    made = []
    for exercise, of_check in summary.states.items():
        for check, counts in of_check.items():
            students = sum(counts.values())
            made.append([f"{exercise}.{check}", *(str(counts.get(state, 0)) for state in ("passed", "failed", "not reached", "not started")),
                         f"{counts.get('passed', 0) / students:.0%}"])
    return made


def student_marks(result: Result) -> str:
    return f"{sum(each.passed for each in result.exercises)} of {sum(len(each.checks) for each in result.exercises)}"


CHECKS_HEAD = ["check", "passed", "failed", "not reached", "not started", "share passed"]
STUDENTS_HEAD = ["student", "points", "checks passed", ""]


def status(result: Result) -> str:
    told = [WORDS[result.status], *(str(late) for late in result.late.values())]
    told += [f"{each.name} set by hand" for each in result.exercises if each.by_hand is not None]
    told += [f"{each.name}.{check.check} set by hand" for each in result.exercises for check in each.checks if check.by_hand is not None]
    return "; ".join(part for part in told if part)


def card(heading: str, body: str) -> str:
    return f'<section class="card"><h2>{escaped(heading)}</h2>{body}</section>'


def as_html(summary: Summary, pictures: list[Picture], folders: Mapping[str, str]) -> str:
    """`folders`: where each student's report lies, below students/."""
    tiles = [f'<div class="tile"><b>{escaped(value)}</b><span class="soft small">{escaped(name)}</span></div>' for name, value in summary.tiles()]
    parts = [f"<h1>{escaped(summary.title)}</h1>", f'<div class="tiles">{"".join(tiles)}</div>']
    for heading, told in summary.concerns():
        parts.append(card(heading, f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in told)}</ul>"))
    for picture in pictures:
        data = base64.b64encode(picture.path.read_bytes()).decode()
        parts.append(card(picture.title, f'<img alt="{escaped(picture.alt)}" src="data:image/png;base64,{data}">'))
    lines = [[escaped(cell) for cell in row] for row in check_rows(summary)]
    parts.append(card("Checks in numbers", table(CHECKS_HEAD, lines, (1, 2, 3, 4, 5))))
    if summary.mistakes:
        lines = [[escaped(name), str(count)] for name, count in summary.mistakes.most_common()]
        parts.append(card("Mistakes in numbers", table(["diagnosis", "students"], lines, (1,))))
    lines = [[f'<a href="students/{quote(folders[each.student.id])}/report.html">{escaped(each.student)}</a>',
              f'<div class="beside">{number(each.points)}{bar(each.points / each.possible if each.possible else 0)}</div>',
              student_marks(each), escaped(status(each))] for each in summary.results]
    parts.append(card("Students", table(STUDENTS_HEAD, lines, (2,))))
    return page(summary.title, "\n".join(parts))


def as_markdown(summary: Summary, pictures: list[Picture], folders: Mapping[str, str]) -> str:
    parts = [f"# {marked(summary.title)}", " · ".join(f"{value} {name}" for name, value in summary.tiles())]
    for heading, told in summary.concerns():
        parts.append(f"## {marked(heading)}\n\n" + "\n".join(f"- {marked(line)}" for line in told))
    parts += [f"## {marked(picture.title)}\n\n![{marked(picture.alt)}](pictures/{picture.name}.png)" for picture in pictures]
    lines = [[marked(cell) for cell in row] for row in check_rows(summary)]
    parts.append("## Checks in numbers\n\n" + rows(CHECKS_HEAD, lines, (1, 2, 3, 4, 5)))
    if summary.mistakes:
        lines = [[marked(name), str(count)] for name, count in summary.mistakes.most_common()]
        parts.append("## Mistakes in numbers\n\n" + rows(["diagnosis", "students"], lines, (1,)))
    lines = [[f"[{marked(each.student)}](students/{quote(folders[each.student.id])}/report.md)", number(each.points), student_marks(each),
              marked(status(each))] for each in summary.results]
    parts.append("## Students\n\n" + rows(STUDENTS_HEAD, lines, (1, 2)))
    return "\n\n".join(parts) + "\n"
