"""`python -m minillm.lessons build|check [NN …]`: the notebooks, for those who write lessons (`make lessons`).

    build       makes the notebooks that are no longer what their source says; --all: every one, also where only the library changed
    check       compares each notebook with its source; --execute: also runs each lesson afresh
"""

import argparse
import sys
from pathlib import Path

from minillm.lessons import build as notebooks
from minillm.lessons import folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minillm.lessons", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["build", "check"])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="which lessons (default: all)")
    parser.add_argument("--all", action="store_true", help="build also what is up to date")
    parser.add_argument("--execute", action="store_true", help="check by running every lesson afresh")
    parser.add_argument("--folder", type=Path, help="where the lessons are")
    chosen = parser.parse_intermixed_args(arguments)          # numbers may stand behind flags
    try:
        for source in notebooks.lessons(chosen.folder or folder(), chosen.numbers):
            print(f"{source.stem}: {visit(source, chosen)}", flush=True)
    except ValueError as problem:
        print(f"minillm: {problem}", file=sys.stderr)
        return 1
    return 0


def visit(source: Path, chosen: argparse.Namespace) -> str:
    """What was done with one lesson, in words."""
    if chosen.what == "build":
        return "up to date" if not chosen.all and notebooks.is_current(source) else f"built, {notebooks.build(source)}"
    notebooks.check(source)
    if not chosen.execute:
        return "source and notebook agree"
    ran = notebooks.execute(source)
    changed = notebooks.changed_cells(source, ran.notebook)
    return f"source and notebook agree; executed afresh, {ran}" + "".join(f"\n    {line}" for line in changed)


if __name__ == "__main__":
    sys.exit(main())
