"""What a class is handed for one assignment: the package without the solutions that are asked for.

    minillm/       the package. Where a graded function stood, the student's own is called (or it is said that it is taken out)
    exercises/     a stub for each exercise of this assignment, and the solutions of the earlier ones
    README.md      what to do

Checks there need no reference: cases and right answers are recorded as arrays, and gradients are held against the slopes of the
student's own forward. packs.toml says where the library has each exercise's solution; a test searches what is left.
"""

import ast
import functools
import shutil
import textwrap
import tomllib
from pathlib import Path

from .. import files
from ..exercises import HERE as DEFINITIONS
from ..exercises import Exercise, load, names, variants
from ..exercises.stubs import fingerprint, stub
from .folder import CONFTEST

PACKAGE = DEFINITIONS.parent
LEFT_OUT = ("kernels", "exercises/solutions", "exercises/variants", "lessons", "demo.py", "practice/pack.py", "practice/packs.toml",
            "exercises/released.json", "generation/decoder.py")       # kernels: the same mathematics in CUDA C
DECODER = '''"""A faster decoder stands here in the library. It holds solutions; without it a model reads one token as it reads many."""


def decoder(model):
    return model
'''
PLACES = tomllib.loads((Path(__file__).parent / "packs.toml").read_text("utf-8"))


def assignments() -> list[int]:
    return sorted({load(name).assignment for name in names()})


def build(assignment: int, out: Path, secret: bytes | None = None) -> list[str]:
    """Makes the folder `out`, whole or not at all. Returns the names of the exercises that it asks for."""
    if assignment not in assignments():
        raise ValueError(f"There is no assignment {assignment}; there are {', '.join(map(str, assignments()))}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there already. Name a new folder, so that nothing is mixed or lost.")
    course = [variant(name, secret) for name in names() if load(name).assignment <= assignment]
    asked = [exercise for exercise in course if exercise.assignment == assignment]
    files.write_folder(out, lambda folder: fill(folder, course, asked))
    return [exercise.name for exercise in asked]


def variant(name: str, secret: bytes | None) -> Exercise:
    """The exercise, or what a class with this secret is asked in its place."""
    return load(name) if secret is None else variants.variant(load(name), secret)


def fill(folder: Path, course: list[Exercise], asked: list[Exercise]) -> None:
    from ..grading import recorded
    copy_package(folder / "minillm", {exercise.name for exercise in course})
    (folder / "minillm" / "generation" / "decoder.py").write_text(DECODER, "utf-8")
    for exercise in asked:
        for file, instead in PLACES.get(exercise.name, {}).items():
            take_out(folder / "minillm" / file, instead, exercise)
    (folder / "exercises").mkdir()
    (folder / "exercises" / "conftest.py").write_text(CONFTEST, "utf-8")
    for exercise in course:
        made = stub(exercise)
        recorded.record(exercise, made, folder / "minillm" / "exercises" / "recorded" / f"{exercise.name}.npz")
        (folder / "exercises" / f"{exercise.name}.py").write_text(made if exercise in asked else variants.solution(exercise), "utf-8")
        if exercise is not load(exercise.name):                  # a variant: its statement and hints are its own
            (folder / "minillm" / "exercises" / f"{exercise.name}.toml").write_text(variants.as_toml(exercise), "utf-8")
    files.write_json(folder / "exercises" / ".progress.json", {each.name: passed(each) for each in course if each not in asked})
    (folder / "minillm" / "exercises" / "released.json").write_text("{}\n")
    (folder / "setup.cfg").write_text(SETUP, "utf-8")
    (folder / "pyproject.toml").write_text('[build-system]\nrequires = ["setuptools>=68"]\nbuild-backend = "setuptools.build_meta"\n', "utf-8")
    (folder / "README.md").write_text(readme(asked), "utf-8")


def passed(exercise: Exercise) -> dict:
    """What the record of progress says of a solution that is given."""
    return {"source": fingerprint(variants.solution(exercise)), "verdicts": [{"check": check.name, "status": "passed"} for check in exercise.checks]}


def copy_package(target: Path, course: set[str]) -> None:
    """The package's files, without what gives solutions away: the exercises' definitions and what LEFT_OUT names."""
    def left_out(place: Path) -> bool:
        inside = place.relative_to(PACKAGE)
        if "__pycache__" in inside.parts or any(inside == Path(each) or Path(each) in inside.parents for each in LEFT_OUT):
            return True
        return inside.parent == Path("exercises") and (place.suffix == ".toml" and place.stem not in course or
                                                       place.suffix == ".py" and place.stem in names())

    for place in sorted(PACKAGE.rglob("*")):
        if place.is_file() and not left_out(place):
            copied = target / place.relative_to(PACKAGE)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, copied)


# --- a function's body, replaced ---------------------------------------------------------------------------------------------

def take_out(path: Path, functions: dict[str, str], exercise: Exercise) -> None:
    """Gives functions of a file another body, and the file another docstring; helpers that nobody calls any more go, too. What to put
    in place of a body: "yours", the student's function of that name; "gone", a sentence; else the statement itself."""
    source, helpers = path.read_text("utf-8"), set()
    for name, instead in functions.items():
        node, owner = found(ast.parse(source), name, path)
        helpers |= names_in(node)
        source = replaced(source, node, body(node, owner, instead, exercise))
    source = without_idle(helpers - set(functions), source)
    says = f'"""This is part of an exercise: exercises/{exercise.name}.py. The library\'s own code is taken out of this copy."""'
    path.write_text(with_docstring(source, says), "utf-8")


def found(tree: ast.Module, name: str, path: Path) -> tuple[ast.FunctionDef, str | None]:
    owner, _, own = name.rpartition(".")
    place = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner), None) if owner else tree
    for node in place.body if place else ():
        if isinstance(node, ast.FunctionDef) and node.name == own:
            return node, owner or None
    raise ValueError(f"packs.toml names {name} in {path.name}, but no such function is there.")


def body(node: ast.FunctionDef, owner: str | None, instead: str, exercise: Exercise) -> str:
    if instead == "gone":
        return f'raise ValueError("{node.name} is part of the exercise {exercise.name}, and so it is not in this copy.")'
    if instead != "yours":
        return importing(instead)
    arguments = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if not (owner and each.arg == "self")]
    passed = ", ".join([*arguments, *(f"{each.arg}={each.arg}" for each in node.args.kwonlyargs)])
    called = f'operation("{exercise.name}").{node.name}' if exercise.operation else f'function("{exercise.name}", "{node.name}")'
    return importing(f"return {called}({passed})")


def importing(statements: str) -> str:
    """With the names of yours.py that they call."""
    called = [name for name in ("function", "operation", "block_forward", "block_backward") if f"{name}(" in statements]
    return f"from minillm.practice.yours import {', '.join(called)}\n{statements.strip()}" if called else statements.strip()


def replaced(source: str, node: ast.FunctionDef, statements: str) -> str:
    """The source with another body in a function; its first lines stay as they are."""
    lines = source.splitlines()
    indent = " " * (node.col_offset + 4)
    return "\n".join([*lines[:node.body[0].lineno - 1], textwrap.indent(statements, indent), *lines[node.end_lineno:]]) + "\n"


def names_in(tree: ast.AST) -> set[str]:
    return {node.id if isinstance(node, ast.Name) else node.attr for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)}


def without_idle(helpers: set[str], source: str) -> str:
    """What was taken out called these functions. Those that nothing in the file calls any more, and no other file imports, were part of it."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in helpers - imported():
            others = set().union(*(names_in(each) for each in tree.body if each is not node))
            if node.name not in others:
                lines = source.splitlines()
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                return without_idle(helpers | names_in(node), "\n".join([*lines[:first - 1], *lines[node.end_lineno:]]) + "\n")
    return source


@functools.cache
def imported() -> frozenset[str]:
    """The names that files of the package, of those that a class is handed, import from one another."""
    def handed_out(path: Path) -> bool:
        inside = path.relative_to(PACKAGE)
        return not any(inside == Path(each) or Path(each) in inside.parents for each in LEFT_OUT)

    return frozenset(each.name for path in PACKAGE.rglob("*.py") if handed_out(path) for node in ast.walk(ast.parse(path.read_text("utf-8")))
                     if isinstance(node, ast.ImportFrom) for each in node.names)


def with_docstring(source: str, docstring: str) -> str:
    first = ast.parse(source).body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return "\n".join([docstring, *source.splitlines()[first.end_lineno:]]) + "\n"
    return f"{docstring}\n\n{source}"


# --- the other files -----------------------------------------------------------------------------------------------------------

SETUP = """[metadata]
name = minillm
version = attr: minillm.__version__

[options]
packages = find:
python_requires = >=3.11
install_requires =
    numpy>=2.1.2
    regex
    matplotlib
    safetensors
    ml_dtypes>=0.5
    tqdm
    threadpoolctl>=3.1
    jaxtyping>=0.2.36
    tyro>=0.9
    pytest>=8

[options.package_data]
minillm = **/*.toml, **/*.json, **/*.npz

[options.packages.find]
include = minillm*

[options.entry_points]
console_scripts =
    minillm = minillm.cli:main
"""


def readme(asked: list[Exercise]) -> str:
    rows = "\n".join(f"| `exercises/{each.name}.py` | {each.title} | {sum(each.points.values()):g} |" for each in asked)
    total = sum(sum(each.points.values()) for each in asked)
    operations = [each.name for each in asked if each.operation]
    training = f"""
When all of {', '.join(operations)} pass, a real model learns with them:

```
minillm train --ops exercises/ --out runs/mine
```
""" if operations else ""
    return f"""# Assignment {asked[0].assignment}

| write | it is | points |
|---|---|---|
{rows}
| | | **{total:g}** |

```
python3 -m venv .venv && source .venv/bin/activate
python -m pip install -e .
minillm exercises check            # red at first; says what to open
minillm exercises next             # what is asked
minillm exercises hint NAME        # three hints, each stronger than the last
minillm exercises watch            # checks a file whenever you save it
```

Each file of exercises/ says what is asked of it, with the mathematics. Write your code in place of the lines that raise
NotImplementedError, with NumPy and nothing else; every exercise can be done on its own. The solutions of earlier assignments are there.

The checks on your machine use recorded numbers, and compare your gradients with the slopes of your own forward. You are graded on
other numbers of the same kind.
{training}
Hand in the folder exercises/.
"""
