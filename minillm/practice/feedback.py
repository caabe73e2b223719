"""What a check found, as a student reads it: what was called, where the first number differs, and what the mistake may be."""

import html
import sys
import textwrap
from collections.abc import Sequence

from ..exercises import Exercise
from ..grading.checking import Verdict

WIDTH = 84           # of a line of text: as much as JupyterLab shows beside its margins
SIGNS = {"passed": "✓", "failed": "✗", "not started": "·", "not reached": "·", "error": "!"}
COLOURS = {"passed": 32, "failed": 31, "error": 33}
PRINTED = 12                                                      # lines of a student's own output that are shown
CANT_TELL = "None of the mistakes that I know gives these numbers. Take the smallest case and compare by hand, or ask for a hint."


def points(exercise: Exercise, verdicts: Sequence[Verdict]) -> float:
    return sum(exercise.points[each.check] for each in verdicts if each.status == "passed")


def lines(exercise: Exercise, verdicts: Sequence[Verdict], colour: bool = False) -> list[str]:
    """One exercise: a line for each check, and below a failed one what is known of it."""
    def painted(text: str, status: str) -> str:
        return f"\033[{COLOURS[status]}m{text}\033[0m" if colour and status in COLOURS else text

    of, width = sum(exercise.points.values()), max(len(each.check) for each in verdicts)
    made = [f"{exercise.title} ({exercise.name}): {points(exercise, verdicts):g} of {of:g} points"]
    for each in verdicts:
        worth = f"{exercise.points[each.check]:g}" if each.status == "passed" else f"0 of {exercise.points[each.check]:g}"
        made.append(painted(f"  {SIGNS[each.status]} {each.check:<{width}} {worth:>7}   ", each.status) + exercise.check(each.check).title)
        made += [f"      {'' if i else word:<8} {line}" for word, text in facts(each) for i, line in enumerate(wrapped(text))]
    return made


def wrapped(text: str) -> list[str]:
    return [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH, break_long_words=False, drop_whitespace=True) or [""]]


def facts(verdict: Verdict) -> list[tuple[str, str]]:
    """(word, text) pairs below a check that did not pass."""
    if verdict.status == "failed":
        called, _, found = verdict.message.partition("\n")
        printed = verdict.printed.strip("\n").splitlines()
        said = [("called", called), ("found", found)]
        if printed:                                               # by the student's own print(): the first lines
            said.append(("printed", "\n".join(printed[:PRINTED] + ["…"] * (len(printed) > PRINTED))))
        if verdict.advice:
            return [*said, ("likely", f"{verdict.diagnosis}. {verdict.advice}" if verdict.diagnosis else verdict.advice)]
        return [*said, ("likely", CANT_TELL)] if " should be " in found else said
    if verdict.status == "error":
        return [("", f"The checker itself failed, which is no fault of yours: {verdict.message}")]
    return [("", verdict.message)] if verdict.status == "not reached" else []


def next_step(exercise: Exercise, verdicts: Sequence[Verdict], path: str) -> str:
    if all(each.status == "passed" for each in verdicts):
        return "All passed. The next one: minillm exercises next"
    if all(each.status == "not started" for each in verdicts):
        return f"Not started. Open {path} and replace the lines that raise NotImplementedError. A hint: minillm exercises hint {exercise.name}"
    return f"A hint: minillm exercises hint {exercise.name}"


class Report:
    """What check() shows: text in a terminal, a little page in Jupyter."""

    def __init__(self, exercise: Exercise, verdicts: Sequence[Verdict], path: str):
        self.exercise, self.verdicts, self.path = exercise, list(verdicts), path

    @property
    def passed(self) -> bool:
        return all(each.status == "passed" for each in self.verdicts)

    def text(self, colour: bool = False) -> str:
        if all(each.status == "not started" for each in self.verdicts):
            title = f"{self.exercise.title} ({self.exercise.name}): 0 of {sum(self.exercise.points.values()):g} points"
            return f"{title}\n  {next_step(self.exercise, self.verdicts, self.path)}"
        return "\n".join([*lines(self.exercise, self.verdicts, colour), f"  {next_step(self.exercise, self.verdicts, self.path)}"])

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = "#009E73" if self.passed else "#D55E00"
        return f'<pre style="border-left: 4px solid {colour}; padding-left: 8px; white-space: pre-wrap">{html.escape(self.text())}</pre>'


def coloured() -> bool:
    return sys.stdout.isatty()
