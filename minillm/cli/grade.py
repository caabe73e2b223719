"""`minillm grade`: the arguments, and what it prints."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

GRADER_FAILED = 75                               # what a shell takes for "try again later"


def grade(place: Annotated[Path | None, tyro.conf.Positional] = None, /, roster: Path | None = None, out: Path = Path("grades"),
          assignment: int | None = None, secret: Path | None = None, require_sandbox: str | None = None, workers: int | None = None,
          regrade: tuple[str, ...] = (), variants: bool = False, overrides: Path | None = None, late: Path | None = None, due: str | None = None,
          earlier: tuple[Path, ...] = (), gradescope_zip: Path | None = None,
          gradescope_visibility: Literal["visible", "hidden", "after_due_date", "after_published"] = "visible",
          gradescope_leaderboard: bool = False) -> int:
    """Grade one submission, or the folder with those of a class.

    minillm grade alice.zip: one submission; the report lies in grades/students/

    minillm grade submissions --roster roster.csv --assignment 3 --out assignment3: a class

    minillm grade submissions --roster roster.csv --out assignment3 --regrade rmsnorm.backward: one check again, for all

    minillm grade --gradescope-zip autograder.zip --assignment 3 --secret class.secret: what Gradescope runs for every submission

    A submission is a folder, a .zip or a .tar.gz with the files NAME.py of the exercises in it, or one such file. In the folder of a class
    each has the id or the name of its student; downloads of Moodle and Canvas are recognised. Nothing is unpacked, and what has no business
    in a submission (links, paths that lead outside, archives in archives, ...) is refused with a reason, while the others are graded.

    Every verdict goes into OUT/journal.jsonl at once. Stop whenever you like, and run the same command again: it goes on where it stopped,
    and grades only what is new or changed. If the grader itself fails anywhere, it says so, takes no points, and the exit code is 75.

    OUT: class.html and class.md (the class), students/ID/ (report.html, report.md, results.json for Gradescope), grades.csv, junit.xml.
    It also has the class's secret, and is for you alone. See docs/teaching.md.

    Args:
        place: a submission, or the folder of a class
        roster: a table (CSV) of the students: id, name, and if you like due, late_days, submitted
        out: the folder for the journal and the reports
        assignment: grade the exercises of this assignment alone
        secret: the file from which hidden inputs are drawn; made if it is missing (default: OUT/secret)
        require_sandbox: refuse to grade in a weaker sandbox than this
        workers: processes (default: one a core)
        regrade: checks (rmsnorm.backward) or exercises (rmsnorm) to grade again for all
        variants: the class was asked what this secret draws in place of public exercises (exercises build --secret)
        overrides: points set by hand, a table (CSV): student, exercise, check, points, reason (default: OUT/overrides.csv, if it is there)
        late: deadlines and penalties, TOML (default: OUT/late.toml, if it is there)
        due: one deadline for all, such as 2026-10-01T23:59+02:00
        earlier: folders of earlier gradings, whose journals count as attempts, too
        gradescope_zip: write an autograder for Gradescope, and grade nothing
        gradescope_visibility: when students see the results there
        gradescope_leaderboard: show points on a leaderboard there, to the whole class
    """
    from ..arrays import num_threads
    from ..grading.classes import board, journal, run
    from ..grading.reports import folder, gradescope
    from ..grading.reports.page import plain
    if gradescope_zip:
        told = gradescope.make(gradescope_zip, assignment, secret, late, require_sandbox, gradescope_visibility, gradescope_leaderboard, variants)
        print(told)
        return 0
    if place is None:
        raise ValueError("Name a submission, or the folder of a class: minillm grade submissions --roster roster.csv.")
    settings = run.Settings(out, roster, assignment, secret, overrides, late, due, num_threads() if workers is None else workers,
                            require_sandbox, regrade, variants)
    screen = board.Screen(board.Board())
    signal.signal(signal.SIGTERM, stopped)
    try:
        graded = run.grade(place, settings, screen)
    except KeyboardInterrupt:
        print(f"\nStopped. All verdicts so far are in {out / 'journal.jsonl'}: the same command goes on from there.", file=sys.stderr)
        return 130
    finally:
        screen.close()
    shown = folder.write(out, graded, journal.attempts([out / "journal.jsonl", *(each / "journal.jsonl" for each in earlier)]))
    print(plain(summary(graded)))
    print("See " + ", ".join(map(str, shown)))
    if graded.failures:
        print(plain(failed(graded)), file=sys.stderr)
    return GRADER_FAILED if graded.failures else 0


def stopped(*_) -> None:
    print("\nStopped by SIGTERM: the same command goes on from there.", file=sys.stderr)
    sys.exit(143)


def summary(graded) -> str:
    from ..grading.classes.points import number
    from ..grading.reports.student import MARKS, total
    lines = list(graded.notes)
    if len(graded.results) == 1:
        [result] = graded.results
        lines.append(f"{result.student}: {total(result)}" + (f". Refused: {result.refused}" if result.refused else ""))
        for exercise in result.exercises:
            marks = " ".join(f"{MARKS[each.verdict.status][0]} {each.check}" for each in exercise.checks)
            lines.append(f"  {exercise.name:<20}{number(exercise.points):>5} of {number(exercise.possible):<5} {marks}")
        return "\n".join(lines)
    found = graded.found
    read = len(graded.results) - len(found.missing) - len(found.refused)
    lines.append(f"{len(graded.results)} students: {read} graded, {len(found.refused)} refused, {len(found.missing)} handed nothing in; "
                 f"{graded.judged:,} checks judged now, the others were in the journal")
    lines += [f"  refused: {each.student}: {each.refused}" for each in found.refused]
    lines += [f"  not graded: {name}: {why}" for name, why in found.strangers]
    if found.missing:
        some = ", ".join(str(student) for student in found.missing[:8])
        lines.append(f"  nothing from: {some}{f' and {len(found.missing) - 8} more' if len(found.missing) > 8 else ''}")
    return "\n".join(lines)


def failed(graded) -> str:
    lines = [f"  {student}: {exercise}.{check}: {why}" for (student, exercise, check), why in graded.failures.items()]
    more = [f"  and {len(lines) - 10} more"] if len(lines) > 10 else []
    return "\n".join([f"The grader failed at {len(lines)} checks, which costs nobody a point: they stay open. Run the same command again, "
                      "or set their points by hand (overrides.csv).", *lines[:10], *more])
