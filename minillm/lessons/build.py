"""From a lesson's source to its notebook, and the checks that keep the two together.

    read        NN_title.py → the notebook's cells, by jupytext
    execute     every cell, top to bottom, in a fresh kernel of this very Python
    build       both, and NN_title.ipynb is written: the same bytes from the same outputs (no times, no random ids, no versions)
    check       the notebook that is there: cell by cell its source, all cells executed in order, no error, no warning, no path of the
                machine it was built on, small enough to be opened everywhere

A lesson stops at its first failing cell, with a sentence that says which.
"""

import hashlib
import importlib
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minillm import files
from minillm.lessons import EXTRA, environment
from minillm.practice import Folder

LARGEST = 400_000       # bytes of a notebook
PATIENCE = 600          # seconds for one cell, on a busy machine
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
MEMORY = "import resource, sys; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024))"


class Ran(NamedTuple):
    """What a lesson needed."""

    notebook: Any
    seconds: float
    memory: int             # bytes, at the most

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.memory / 2**30:.2f} GiB"


def lessons(place: Path, numbers: Sequence[str] = ()) -> list[Path]:
    """The sources in a folder, all or those with these numbers ("1" is "01")."""
    found = {path.name[:2]: path for path in sorted(place.glob("[0-9][0-9]_*.py"))}
    wanted = [number.zfill(2) for number in numbers] or list(found)
    if missing := [number for number in wanted if number not in found]:
        raise ValueError(f"There is no lesson {missing[0]} in {place}; there are {', '.join(found) or 'none'}.")
    return [found[number] for number in wanted]


def read(source: Path) -> Any:
    """The notebook that a source describes, without outputs."""
    jupytext = needed("jupytext")
    notebook = jupytext.read(source)
    notebook.metadata = {"kernelspec": KERNEL, "language_info": LANGUAGE}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type} {cell.source}".encode()).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        cell.id = f"{name}-{seen[name]}"                    # a function of the text, so that nothing but a changed cell differs
        cell.metadata = {}
    return notebook


def execute(source: Path) -> Ran:
    """Runs a lesson in a fresh kernel, in its folder, and stops at the first cell that fails."""
    nbclient, notebook, start = needed("nbclient"), read(source), time.monotonic()
    with tempfile.TemporaryDirectory() as own:
        exercises = Folder(Path(own) / "exercises")
        list(exercises.update())                             # check cells look at fresh stubs, and nobody's own work is read or written
        apart = {"IPYTHONDIR": own, "MINILLM_EXERCISES": str(exercises.path)}               # nor anybody's start-up files or history
        client = nbclient.NotebookClient(notebook, km=kernel(own), timeout=PATIENCE, record_timing=False, coalesce_streams=True,
                                         resources={"metadata": {"path": str(source.parent)}})
        with client.setup_kernel(cleanup_kc=True, env={**environment(), **apart}):
            for i, cell in enumerate(notebook.cells):
                run_cell(client, cell, i, source)
            memory = int(output_of(client, MEMORY))
    return Ran(notebook, time.monotonic() - start, memory)


def kernel(own: str) -> Any:
    """One of this very Python, whatever other kernels the user has under that name; reached by files in its own folder, by no port."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), transport="ipc",
                              connection_file=str(Path(own) / "kernel.json"))


def run_cell(client: Any, cell: Any, i: int, source: Path) -> None:
    exceptions = needed("nbclient").exceptions
    try:
        client.execute_cell(cell, i)
    except exceptions.CellExecutionError as problem:
        raise ValueError(f"{place_of(source, i, cell)} failed: {problem.ename}: {problem.evalue}") from None
    except (exceptions.CellTimeoutError, exceptions.DeadKernelError) as problem:
        what = f"was still running after {PATIENCE} seconds" if isinstance(problem, TimeoutError) else "ended the kernel (too little memory?)"
        raise ValueError(f"{place_of(source, i, cell)} {what}.") from None


def output_of(client: Any, code: str) -> str:
    """What code prints that is no cell of the lesson."""
    from nbformat.v4 import new_code_cell
    cell = new_code_cell(code)
    client.nb.cells.append(cell)
    client.execute_cell(cell, len(client.nb.cells) - 1)
    client.nb.cells.pop()
    return cell.outputs[0].text


def build(source: Path) -> Ran:
    """Executes a lesson and writes its notebook. What check would refuse is told before anything is written."""
    ran = execute(source)
    text = needed("nbformat").writes(ran.notebook, version=4) + "\n"         # as Jupyter writes it, a line of source a line of the file
    refuse_bad(source, ran.notebook, len(text.encode()))
    files.write_file(source.with_suffix(".ipynb"), text.encode())
    return ran


def check(source: Path) -> None:
    """Refuses, with a sentence, a notebook that isn't what `build` would leave there. Nothing is executed."""
    path = source.with_suffix(".ipynb")
    if not path.is_file():
        raise ValueError(f"{source.name} has no notebook: {remedy(source)}")
    notebook = needed("nbformat").read(path, as_version=4)
    expected = read(source).cells
    for i, (cell, built) in enumerate(zip(expected, notebook.cells)):
        if (cell.cell_type, cell.source) != (built.cell_type, built.source):
            raise ValueError(f"{place_of(source, i, cell)} is not what stands in the notebook: {remedy(source)}")
    if len(expected) != len(notebook.cells):
        raise ValueError(f"{source.name} has {len(expected)} cells and its notebook {len(notebook.cells)}: {remedy(source)}")
    refuse_bad(source, notebook, path.stat().st_size)


def is_current(source: Path) -> bool:
    try:
        check(source)
    except ValueError:
        return False
    return True


def changed_cells(source: Path, ran: Any) -> list[str]:
    """The cells of an executed lesson that print other words than its notebook has: a sign that the library has moved on. Numbers
    are left out: their last digits differ from machine to machine, and measured ratios from run to run."""
    def words(cell: Any) -> list[str]:
        return [re.sub(r"[-+]?[\d.,]+(e[-+]?\d+)?", "#", text_of(output)) for output in cell.get("outputs", [])]

    built = needed("nbformat").read(source.with_suffix(".ipynb"), as_version=4)
    return [f"{place_of(source, i, cell)} prints something else now than its notebook shows"
            for i, (cell, old) in enumerate(zip(ran.cells, built.cells)) if words(cell) != words(old)]


def refuse_bad(source: Path, notebook: Any, size: int) -> None:
    """What no lesson may show, however it came there."""
    if size > LARGEST:
        raise ValueError(f"{source.stem}.ipynb has {size:,} bytes, and {LARGEST:,} is the limit: fewer pictures, or simpler ones.")
    executed = 0
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        where, executed = place_of(source, i, cell), executed + 1
        if cell.execution_count != executed:
            raise ValueError(f"{where} wasn't executed in its order: {remedy(source)}")
        for output in cell.outputs:
            if output.output_type == "error":
                raise ValueError(f"{where} ended with an error in the notebook: {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                raise ValueError(f"{where} printed a warning: {output.text.strip()}")
            if found := PATH.search(text_of(output)):
                raise ValueError(f"{where} shows a path of the machine it was built on: {found[0]}")
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                raise ValueError(f"{where} has a picture without alt text: show it with minillm.plot.show(figure, alt=…).")


PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|tmp|private|var|work|opt|mnt)/[^\s'\"`)]+")


def text_of(output: Any) -> str:
    """All that a cell's output says in letters."""
    return "\n".join([output.get("text", ""), *(str(value) for kind, value in sorted(output.get("data", {}).items()) if kind.startswith("text/"))])


def place_of(source: Path, i: int, cell: Any) -> str:
    """Lesson and cell, for a sentence: where it is in the notebook, and how it begins."""
    begins = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"Lesson {source.stem}, cell {i + 1} ({begins[:60]})"


def remedy(source: Path) -> str:
    return f"run `python -m minillm.lessons build {source.name[:2]}`."


def needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name != name:
            raise
        raise ValueError(f"{name}, which the lessons are built with, is not installed. Try: {EXTRA}") from None
