"""What one student reads: the points of each check, what was called, where the answer first differs, what the mistake may be."""

from ..classes.points import ExerciseResult, Graded, Result, number
from .page import bar, escaped, fenced, marked, page

MARKS = {"passed": ("✓", "passed"), "failed": ("✗", "failed"), "not started": ("–", "not started"), "not reached": ("–", "not reached"),
         "error": ("!", "open: the grader failed here, which costs no points")}

CANT_TELL = "None of the mistakes that I know gives these numbers. Take the smallest case, and compute it by hand."


def title(result: Result) -> str:
    return result.student.name or result.student.id


def total(result: Result) -> str:
    return f"{number(result.points)} of {number(result.possible)} points"


def notes(result: Result) -> list[str]:
    """What concerns the whole submission, in sentences."""
    found = []
    if result.refused:
        found.append(f"What you handed in was refused. {result.refused}")
    elif not result.handed_in:
        found.append("Nothing was handed in.")
    found += [f"Assignment {late.assignment}: {late} It was due on {when(late.due)}." for late in result.late.values()]
    if result.open:
        found.append(f"{number(result.open)} points are open: the grader failed there, not you, and will try again.")
    return found


def untouched(exercise: ExerciseResult) -> str | None:
    """One sentence in place of a list of checks that were never begun."""
    if all(check.verdict.status == "not started" and check.by_hand is None for check in exercise.checks):
        return exercise.checks[0].verdict.message or "Not started."
    return None


def likely(graded: Graded) -> tuple[str, str] | None:
    """(the diagnosis, what to think about); where numbers differ and nothing explains them, that."""
    if graded.verdict.diagnosis or graded.verdict.advice:
        return f"Likely: {graded.verdict.diagnosis}." if graded.verdict.diagnosis else "", graded.verdict.advice or ""
    return ("", CANT_TELL) if graded.verdict.status == "failed" and " should be " in graded.verdict.message else None


def when(moment) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def subtitle(result: Result) -> str:
    assignments = sorted({exercise.assignment for exercise in result.exercises})
    parts = [result.student.id if result.student.name else "", f"assignment{'s' * (len(assignments) > 1)} {', '.join(map(str, assignments))}",
             ", ".join(name for name in result.handed_in if name != result.student.id),
             f"handed in {when(result.submitted)}" if result.submitted and result.handed_in else ""]
    return " · ".join(part for part in parts if part)


def split(graded: Graded) -> tuple[str, str]:
    """(what was called, what was found)"""
    called, _, found = graded.verdict.message.partition("\n")
    return (called, found) if found and graded.verdict.status == "failed" else ("", graded.verdict.message)


# --- HTML ------------------------------------------------------------------------------------------------------------------------

def as_html(result: Result) -> str:
    share = result.points / result.possible if result.possible else 0
    head = f"""<div class="top"><div><h1>{escaped(title(result))}</h1><p class="soft">{escaped(subtitle(result))}</p></div>
<div class="score">{number(result.points)} <small>of {number(result.possible)} points</small></div></div>
{bar(share)}"""
    told = "".join(f'<p class="note">{escaped(note)}</p>' for note in notes(result))
    return page(f"{title(result)}: {total(result)}", "\n".join([head, told, *map(html_of, result.exercises)]))


def html_of(exercise: ExerciseResult) -> str:
    hand = f'<p class="note">The points of this exercise were set by hand: {escaped(exercise.by_hand)}</p>' if exercise.by_hand is not None else ""
    told = f'<p class="soft">{escaped(untouched(exercise))}</p>' if untouched(exercise) else ""
    return f"""<section class="card">
<div class="top"><h2>{escaped(exercise.title)} <span class="soft small">{escaped(exercise.name)}</span></h2>
<div class="number"><b>{number(exercise.points)}</b> <span class="soft">of {number(exercise.possible)}</span></div></div>
{hand}{told or "".join(map(check_html, exercise.checks))}
</section>"""


def check_html(graded: Graded) -> str:
    mark, words = MARKS[graded.verdict.status]
    kind = graded.verdict.status if graded.verdict.status in ("passed", "failed", "error") else "waits"
    more = []
    facts = [(word, text) for word, text in zip(("called", "found"), split(graded)) if text]
    if graded.verdict.status == "failed":
        more.append("<dl>" + "".join(f"<dt>{word}</dt><dd>{escaped(text)}</dd>" for word, text in facts) + "</dl>")
    elif graded.verdict.status != "passed":
        more += [f'<p class="soft small">{escaped(text)}</p>' for _, text in facts]
    if found := likely(graded):
        more.append(f'<p class="likely"><b>{escaped(found[0])}</b> {escaped(found[1])}</p>')
    if graded.by_hand is not None:
        more.append(f'<p class="note">Points set by hand: {escaped(graded.by_hand)}</p>')
    return f"""<div class="check"><span class="mark {kind}" title="{words}">{mark}</span><span>{escaped(graded.title)}
<span class="soft small">{escaped(graded.check)}: {words}</span></span>
<span class="number">{number(graded.points)} <span class="soft">/ {number(graded.possible)}</span></span>
<div class="more">{"".join(more)}</div></div>"""


# --- Markdown ----------------------------------------------------------------------------------------------------------------------

def as_markdown(result: Result) -> str:
    lines = [f"# {marked(title(result))}: {total(result)}", "", marked(subtitle(result)), ""]
    lines += [f"> {marked(note)}\n" for note in notes(result)]
    return "\n".join(lines) + "\n" + "\n\n".join(map(markdown_of, result.exercises)) + "\n"


def markdown_of(exercise: ExerciseResult) -> str:
    parts = [f"## {marked(exercise.title)}: {number(exercise.points)} of {number(exercise.possible)}"]
    if exercise.by_hand is not None:
        parts.append(f"> The points of this exercise were set by hand: {marked(exercise.by_hand)}")
    told = untouched(exercise)
    return "\n\n".join(parts + ([marked(told)] if told else [check_markdown(each) for each in exercise.checks]))


def check_markdown(graded: Graded) -> str:
    mark, words = MARKS[graded.verdict.status]
    parts = [f"{mark} **{marked(graded.check)}** ({number(graded.points)} of {number(graded.possible)}, {words}): {marked(graded.title)}."]
    called, found = split(graded)
    if graded.verdict.status != "passed" and found:
        parts.append(fenced(f"{called}\n{found}" if called else found) if graded.verdict.status == "failed" else marked(found))
    if found := likely(graded):
        parts.append(f"**{marked(found[0])}** {marked(found[1])}".removeprefix("**** ").rstrip())
    if graded.by_hand is not None:
        parts.append(f"> Points set by hand: {marked(graded.by_hand)}")
    return "\n\n".join(parts)
