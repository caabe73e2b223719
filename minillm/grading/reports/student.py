"""What one student reads: the points of each check, what was called, where the answer first differs, what the mistake may be."""

from ..classes.points import ExerciseResult, Graded, Result, number
from .page import bar, escaped, fenced, marked, page

MARKS = {"passed": ("✓", "passed"), "failed": ("✗", "failed"), "not started": ("–", "not started"), "not reached": ("–", "not reached"),
         "error": ("!", "open: the grader failed here, which costs no points")}


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
    return f"""<section class="card">
<div class="top"><h2>{escaped(exercise.title)} <span class="soft small">{escaped(exercise.name)}</span></h2>
<div class="number"><b>{number(exercise.points)}</b> <span class="soft">of {number(exercise.possible)}</span></div></div>
{hand}{"".join(map(check_html, exercise.checks))}
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
    if graded.verdict.diagnosis:
        more.append(f'<p class="likely"><b>Likely: {escaped(graded.verdict.diagnosis)}.</b> {escaped(graded.verdict.advice or "")}</p>')
    elif graded.verdict.advice:
        more.append(f'<p class="likely">{escaped(graded.verdict.advice)}</p>')
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
    return "\n\n".join(parts + [check_markdown(each) for each in exercise.checks])


def check_markdown(graded: Graded) -> str:
    mark, words = MARKS[graded.verdict.status]
    parts = [f"{mark} **{marked(graded.check)}** ({number(graded.points)} of {number(graded.possible)}, {words}): {marked(graded.title)}."]
    called, found = split(graded)
    if graded.verdict.status != "passed" and found:
        parts.append(fenced(f"{called}\n{found}" if called else found) if graded.verdict.status == "failed" else marked(found))
    if graded.verdict.diagnosis:
        parts.append(f"**Likely: {marked(graded.verdict.diagnosis)}.** {marked(graded.verdict.advice or '')}".rstrip())
    elif graded.verdict.advice:
        parts.append(marked(graded.verdict.advice))
    if graded.by_hand is not None:
        parts.append(f"> Points set by hand: {marked(graded.by_hand)}")
    return "\n\n".join(parts)
