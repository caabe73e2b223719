"""The lessons: what a notebook needs (`show_source`, `show_notation`), where they are, and how they are opened. build.py makes the notebooks.

A lesson is written once, as lessons/NN_title.py (cells in jupytext's percent format). The notebook lessons/NN_title.ipynb beside it
is built from that file and executed, so that it can be read with its pictures where nothing is installed.
"""

import importlib.util
import inspect
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]               # …/minillm
EXTRA = "python -m pip install 'minillm[lessons]'"


def show_source(*things: Any) -> None:
    """Shows functions, classes or modules as they stand in the library, with highlighting."""
    for thing in things:
        thing = inspect.unwrap(thing)
        source, file = textwrap.dedent(inspect.getsource(thing)).rstrip(), Path(inspect.getsourcefile(thing)).resolve()
        where = file.relative_to(PACKAGE.parent).as_posix() if PACKAGE in file.parents else file.name
        fence = "```" if "```" not in source else "````"
        try:
            from IPython.display import display
        except ModuleNotFoundError:
            print(f"{where}\n\n{source}")
        else:
            display({"text/markdown": f"`{where}`\n\n{fence}python\n{source}\n{fence}", "text/plain": source}, raw=True)


def show_notation() -> None:
    """Shows the page of notation, which is a section of CONTRIBUTING.md: every signature is tested against it there."""
    page = PACKAGE.parent / "CONTRIBUTING.md"
    if not page.is_file():
        page = folder().parent / "CONTRIBUTING.md"
    section = page.read_text("utf-8").partition("\n## Notation\n")[2].partition("\n## ")[0].strip()
    if not section:
        raise ValueError(f"{page} has no section \"Notation\".")
    try:
        from IPython.display import display
    except ModuleNotFoundError:
        print(section)
    else:
        display({"text/markdown": section, "text/plain": section}, raw=True)


def folder() -> Path:
    """The folder with the lessons: below where the user stands, or beside the package."""
    for place in (Path.cwd() / "lessons", Path.cwd(), PACKAGE.parent / "lessons"):
        if any(place.glob("[0-9][0-9]_*.py")):
            return place
    raise ValueError("The lessons are not here: they are no part of the installed package, but a folder of the project. Clone the "
                     "repository, and run `minillm lessons` inside it.")


def command(place: Path, browser: bool = True, port: int | None = None, allow_root: bool = False) -> list[str]:
    """What opens JupyterLab on the first lesson. Its root is the project's folder, so that exercises/ can be edited there too."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ValueError(f"JupyterLab, in which the lessons are read, is not installed. Try: {EXTRA}")
    first = min((path.name for path in place.glob("[0-9][0-9]_*.ipynb")), default=None)
    if first is None:
        raise ValueError(f"There are no notebooks in {place} yet. Build them: python -m minillm.lessons build")
    options = ["--ServerApp.root_dir", str(place.parent), "--LabApp.default_url", f"/lab/tree/{place.name}/{first}"]
    flags = ["--no-browser"] * (not browser) + ["--allow-root"] * allow_root + (["--port", str(port)] if port else [])
    return [sys.executable, "-m", "jupyterlab", *options, *flags]


def environment() -> dict[str, str]:
    """This process's, in which Python finds this very minillm first."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))}
