"""`minillm exercises …`: the arguments, and what it prints."""

import json as json_format
from pathlib import Path
from typing import Annotated

import tyro

Name = Annotated[str, tyro.conf.Positional]
Names = Annotated[tuple[str, ...], tyro.conf.Positional]


def listed(folder: Path | None = None, json: bool = False) -> int:
    """The board of your progress: what is passed, what is begun, what comes next.

    Args:
        folder: your exercises (default: the nearest folder `exercises`, here or above)
        json: print it as JSON
    """
    from ..practice import Folder, board
    found = Folder(folder)
    if json:
        print(json_format.dumps(board.rows(found), indent=1))
        return 0
    print("\n".join(board.lines(found)))
    if name := board.following(found):
        print(f"Next: {name}. Read about it with: minillm exercises next")
    return 0


def check(names: Names = (), folder: Path | None = None, json: bool = False) -> int:
    """Check what you wrote. The exit code is 0 when all that was asked for passes.

    minillm exercises check: all that you have begun, or the first one if that is none

    minillm exercises check rmsnorm rope: these two

    Args:
        names: exercises (default: all that you have begun)
        folder: your exercises (default: the nearest folder `exercises`, here or above)
        json: print what was found as JSON
    """
    from dataclasses import asdict

    from .. import exercises
    from ..practice import Folder, board, checked
    from ..practice.feedback import coloured
    found = Folder(folder)
    chosen = list(names) or [name for name in exercises.names() if found.begun(name)] or [board.following(found)]
    for name in chosen:
        exercises.load(name)                                      # a wrong name is told before the first check
    reports = []
    for name in chosen:
        reports.append(checked(found, name))
        if not json:
            print(reports[-1].text(coloured()), end="\n\n", flush=True)
    if json:
        print(json_format.dumps({report.exercise.name: [asdict(each) for each in report.verdicts] for report in reports}, indent=1))
    return 0 if all(report.passed for report in reports) else 1


def watch(folder: Path | None = None) -> int:
    """Check each exercise when you save it, until Ctrl-C.

    Args:
        folder: your exercises (default: the nearest folder `exercises`, here or above)
    """
    from ..practice import Folder, checked
    from ..practice.feedback import coloured
    from ..practice.watch import saved
    found = Folder(folder)
    print(f"Watching {found.path}. Save a file, and it is checked. Ctrl-C ends this.", flush=True)
    try:
        for name in saved(found):
            print(checked(found, name).text(coloured()), end="\n\n", flush=True)
    except KeyboardInterrupt:
        print()
    return 0


def hint(name: Name, number: Annotated[int | None, tyro.conf.Positional] = None, folder: Path | None = None) -> int:
    """A hint; each further call gives a stronger one, three in all.

    Args:
        name: the exercise
        number: 1, 2 or 3 (default: the first that you haven't seen)
        folder: your exercises (default: the nearest folder `exercises`, here or above)
    """
    from ..exercises import load
    from ..practice import Folder
    found, hints = Folder(folder), load(name).hints
    seen = found.record().get(name, {}).get("hints", 0)
    chosen = min(seen + 1, len(hints)) if number is None else number
    if not 1 <= chosen <= len(hints):
        raise ValueError(f"There are {len(hints)} hints for {name}, from 1 to {len(hints)}; you asked for number {chosen}.")
    found.remember(name, hints=max(seen, chosen))
    print(f"Hint {chosen} of {len(hints)}: {hints[chosen - 1]}")
    if number is None and seen >= len(hints):
        print("That was the strongest. The first two again: minillm exercises hint NAME 1")
    return 0


def following(folder: Path | None = None) -> int:
    """What the next exercise asks, and where to write it.

    Args:
        folder: your exercises (default: the nearest folder `exercises`, here or above)
    """
    from ..exercises import load
    from ..exercises.stubs import heading_text
    from ..practice import Folder, board
    found = Folder(folder)
    name = board.following(found)
    if name is None:
        print("All exercises are passed.")
        return 0
    print(f"{heading_text(load(name))}\nWrite it in {found.file(name)}")
    return 0


def reset(name: Name, folder: Path | None = None) -> int:
    """Begin an exercise again. What you wrote goes to the folder backups/ beside it.

    Args:
        name: the exercise
        folder: your exercises (default: the nearest folder `exercises`, here or above)
    """
    from ..practice import Folder
    found = Folder(folder)
    backup = found.reset(name)
    print(f"{found.file(name)} is as it was at the beginning." + (f" What was there is now {backup}." if backup else ""))
    return 0


def update(folder: Path | None = None) -> int:
    """After a new release: new exercises appear, stubs that you haven't begun are renewed, your work is kept.

    Args:
        folder: your exercises (default: the nearest folder `exercises`, here or above)
    """
    from ..practice import Folder
    found = Folder(folder)
    says = {"new": "is new", "updated": "was renewed; you had not begun it",
            "kept": f"is yours and stays as it is. This release asks something else: see {found.path / 'updates'}"}
    done = list(found.update())
    for name, what in done:
        print(f"{found.file(name)} {says[what]}.")
    if not done:
        print(f"All in {found.path} is as this release has it.")
    return 0


def start(folder: Annotated[Path, tyro.conf.Positional] = Path("exercises")) -> int:
    """Make a folder with a stub for each exercise, to work in. What is there already is kept.

    Args:
        folder: where
    """
    from ..practice import Folder
    made = [name for name, what in Folder(folder).update() if what == "new"]
    print(f"{len(made)} exercises are new in {folder}. Begin with: minillm exercises check --folder {folder}")
    return 0


def build(assignment: int, out: Path, secret: Path | None = None) -> int:
    """Make what a class is handed for one assignment: stubs, recorded checks, earlier solutions, and no code of what is asked.

    Args:
        assignment: its number
        out: the folder to make
        secret: the class's secret, a file; with it, some exercises become variants that no public solution passes
    """
    from ..practice import pack
    asked = pack.build(assignment, out, None if secret is None else secret.read_bytes().strip())
    print(f"{out} has assignment {assignment}: {', '.join(asked)}. Hand out the whole folder.")
    return 0
