"""The checks are checked: small errors are planted in the source, and a test named in advance must catch each.

A mutant is data. Each file tests/mutants/NAME.py holds a list

    MUTANTS = [dict(name="dK not summed over its group",            what is wrong now, in words
                    file="minillm/ops/attention.py",                the module it is planted in
                    old="exact text of the source", new="…",        `old` occurs exactly once in the file
                    caught_by="tests/ops/test_attention.py::test_x"), …]

and tests/test_mutants.py runs `caught_by` in a process of its own with MINILLM_MUTANT="NAME:index" in the environment. There
tests/conftest.py calls `plant`, before minillm is imported: Python then reads the mutated text in place of the file, which
stays as it is, and nothing of it reaches the cached bytecode. (A test that starts further processes doesn't see the mutant
in them: catch it with a test that calls the code itself.)
"""

import ast
import atexit
import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "tests" / "mutants"

# Errors that any test would stumble over, whatever it checks: who raises one of these shows nothing about the test.
BROKEN = ("ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "NameError", "UnboundLocalError")

PATIENCE = 300      # seconds: a mutant that makes its test hang is not caught, and must not stop the others


# --- the list ------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Mutant:
    id: str                                      # "ops:3": the file under tests/mutants, and the place in its list
    name: str
    file: str
    old: str
    new: str
    caught_by: str

    def mutated(self, root: Path = ROOT) -> str:
        """The file's text with the error in it."""
        path = root / self.file
        if path.suffix != ".py":
            raise ValueError(f"Mutant {self}: only a Python module can be mutated, not {self.file}.")
        if not path.is_file():
            raise ValueError(f"Mutant {self}: there is no file {self.file}.")
        text = path.read_text(encoding="utf-8")
        times = text.count(self.old)
        if times != 1:
            advice = "quote more of the text around it" if times else "the source has changed: write the mutant for what stands there now"
            raise ValueError(f"Mutant {self}: its `old` must occur once in {self.file}, but occurs {times} times; {advice}. "
                             f"It is:\n{self.old}")
        return text.replace(self.old, self.new)

    def check(self, root: Path = ROOT) -> None:
        """Raises a sentence unless the mutant can be planted, changes something, and names a test that exists."""
        mutated = self.mutated(root)
        try:
            after = ast.dump(ast.parse(mutated))
        except SyntaxError as error:
            raise ValueError(f"Mutant {self}: {self.file} doesn't compile with it: {error}.") from None
        if after == ast.dump(ast.parse((root / self.file).read_text(encoding="utf-8"))):
            raise ValueError(f"Mutant {self}: its `new` means the same as its `old`.")
        if not test_exists(self.caught_by, root):
            raise ValueError(f"Mutant {self}: there is no test {self.caught_by}.")

    def __str__(self) -> str:
        return f"{self.id} ({self.name})"


def mutants(name: str) -> list[Mutant]:
    """The mutants of tests/mutants/NAME.py."""
    path = MUTANTS / f"{name}.py"
    if not path.is_file():
        raise ValueError(f"There is no list of mutants {path}.")
    wanted = {field.name for field in fields(Mutant)} - {"id"}
    listed = []
    for i, entry in enumerate(runpy.run_path(str(path))["MUTANTS"]):
        if set(entry) != wanted:
            raise ValueError(f"Mutant {name}:{i} must have exactly the entries {', '.join(sorted(wanted))}; "
                             f"it has {', '.join(sorted(entry))}.")
        listed.append(Mutant(f"{name}:{i}", **entry))
    return listed


def all_mutants() -> list[Mutant]:
    return [mutant for path in sorted(MUTANTS.glob("*.py")) for mutant in mutants(path.stem)]


def find(id: str) -> Mutant:
    name, _, index = id.partition(":")
    listed = mutants(name)
    if not index.isdecimal() or int(index) >= len(listed):
        raise ValueError(f"There is no mutant {id!r}: say {name}:0 to {name}:{len(listed) - 1}.")
    return listed[int(index)]


def test_exists(id: str, root: Path = ROOT) -> bool:
    """Whether the function (or the class and its method) stands in the file, read without running it."""
    file, *names = id.partition("[")[0].split("::")
    if not names or not (root / file).is_file():
        return False
    scope = ast.parse((root / file).read_text(encoding="utf-8"))
    for name in names:
        found = [node for node in scope.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name]
        if not found:
            return False
        scope = found[-1]
    return isinstance(scope, ast.FunctionDef)


test_exists.__test__ = False                     # its name says test, but pytest shall not run it


# --- in the process that runs with the error -----------------------------------------------------------------------------------

def plant(id: str) -> None:
    """Plants the mutant in modules imported from now on, and says at the end whether its file was loaded."""
    mutant = find(id)
    loaded = replace_source(ROOT / mutant.file, mutant.mutated())
    atexit.register(lambda: loaded() and print(loaded_line(mutant), file=sys.stderr))
    from hypothesis import settings              # no search for the smallest failing example, and the same examples every time
    from hypothesis import Phase
    settings.register_profile("mutant", deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])


def loaded_line(mutant: Mutant) -> str:
    return f"mutant {mutant.id} was loaded"


def replace_source(path: Path, text: str) -> Callable[[], bool]:
    """Lets Python's loader read `text` where it would read the file, and tells by the answer whether it has done so.

    Patched is the loader's way of reading files, because loaders that compile in a way of their own (jaxtyping's, pytest's)
    inherit it. Without a modification time the loader neither looks for cached bytecode nor leaves any."""
    where, reads = os.path.realpath(path), []
    get_data, path_stats = SourceFileLoader.get_data, SourceFileLoader.path_stats

    def mutated_data(self: SourceFileLoader, file: str) -> bytes:
        if os.path.realpath(file) != where:
            return get_data(self, file)
        reads.append(file)
        return text.encode()

    def no_stats(self: SourceFileLoader, file: str) -> dict:
        if os.path.realpath(file) == where:
            raise OSError("a mutant has no modification time")
        return path_stats(self, file)

    SourceFileLoader.get_data, SourceFileLoader.path_stats = mutated_data, no_stats
    return lambda: bool(reads)


# --- in the process that watches -----------------------------------------------------------------------------------------------

class Verdict(NamedTuple):
    caught: bool
    why: str                                     # for a mutant that wasn't caught, what happened in its place
    seconds: float


def run(mutant: Mutant) -> Verdict:
    """Runs the named test, alone, with the mutant planted."""
    # where CI is set, pytest compares unequal values to the last character, and never ends on large ones
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTEST_", "HYPOTHESIS_")) and name not in ("CI", "BUILD_NUMBER")}
    began = time.perf_counter()
    command = [
        sys.executable, "-m", "pytest", "-x", "-rfE", "--tb=short", "-m", "", "-p", "no:cacheprovider", "-p", "no:xdist",
        "--hypothesis-profile=mutant", mutant.caught_by]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment | {"MINILLM_MUTANT": mutant.id, "COLUMNS": "300"},
                              capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        why = f"{mutant.caught_by} did not catch {mutant}: after {PATIENCE} s it was still running"
        return Verdict(False, why, time.perf_counter() - began)
    return Verdict(*judged(mutant, done.returncode, done.stdout, done.stderr), time.perf_counter() - began)


def judged(mutant: Mutant, code: int, out: str, err: str) -> tuple[bool, str]:
    """Caught: the named test itself failed, with the mutant loaded, and over more than code that can't run."""
    failed = re.search(rf"^FAILED {re.escape(mutant.caught_by)}(\[.*?\])?( - (.*))?$", out, re.MULTILINE)
    if code == 0:
        why = "the test passed (or was skipped)"
    elif loaded_line(mutant) not in err:
        why = f"{mutant.file} was never imported"
    elif code != 1 or not failed:
        why = f"the test didn't run to its own end (pytest's exit code {code})"
    elif (failed[3] or "").startswith(BROKEN):
        why = "the code with the mutant can't run at all, which any test would notice"
    else:
        return True, ""
    return False, f"{mutant.caught_by} did not catch {mutant}: {why}. Last lines:\n{ends(out)}\n{ends(err)}"


def ends(text: str, lines: int = 25) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def summarize(terminal) -> None:
    """Who caught whom, at the end of pytest's output. (pytest-xdist carries a report's properties to here.)"""
    rows = sorted(row for report in terminal.stats.get("passed", []) for key, row in report.user_properties if key == "caught")
    if rows:
        terminal.section(f"{len(rows)} mutants caught")
        file, name = (max(len(row[i]) for row in rows) for i in (1, 2))
        for _, in_file, what, by, seconds in rows:
            terminal.line(f"{in_file:{file}}  {what:{name}}  caught by {by}  {seconds:.1f} s")
