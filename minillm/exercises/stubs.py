"""exercises/NAME.py, what a student begins with: made from the reference, so that the two can't drift apart.

The signature, the types and shapes and the docstring of a function are the reference's own, read from its source; the statement, the
points and the limits stand in NAME.toml. Parameters that the exercise leaves out (`asked(function, without=…)`) are left out here.
"""

import ast
import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from .. import __version__, files
from . import HERE, Exercise, load, names

RELEASED = HERE / "released.json"      # version → exercise → fingerprint of the stub that it handed out
WIDTH = 116          # of a signature, before it is broken


def stub(exercise: Exercise) -> str:
    """The whole file."""
    if exercise.recorded:
        return exercise.stub
    functions = [definition(exercise.name, name, function) for name, function in exercise.functions.items()]
    body = "\n\n\n".join(functions)
    shapes = [word for word in ("Bool", "Float", "Int", "Integer") if f"{word}[" in body]
    others = [f"from collections.abc import {', '.join(found)}\n" for found in
              [[word for word in ("Callable", "Iterator", "Mapping", "Sequence") if f"{word}[" in body or f": {word}" in body]] if found]
    others += ["from typing import Any\n"] if "Any" in re.findall(r"\w+", body) else []
    imports = "".join([*others, "\n" if others else "", "import numpy as np\n", f"from jaxtyping import {', '.join(shapes)}\n" if shapes else ""])
    return f"{heading(exercise)}\n\n{imports}\n\n{body}\n"


def heading(exercise: Exercise) -> str:
    text = heading_text(exercise)
    raw = "r" if "\\" in text else ""
    return f'{raw}"""{text}"""'


def heading_text(exercise: Exercise) -> str:
    """What is asked, what is checked, how to go on."""
    total = sum(exercise.points.values())
    width = max(len(check.name) for check in exercise.checks)
    checks = "\n".join(f"    {check.name:<{width}} {exercise.points[check.name]:>2g}   {check.title}" for check in exercise.checks)
    return f"""{exercise.title}: assignment {exercise.assignment}, lesson {exercise.lesson}, {total:g} points.

{exercise.statement.strip()}

What is checked, and for how many points (each check has {exercise.seconds:g} s and {exercise.megabytes} MB):

{checks}

    minillm exercises check {exercise.name}        minillm exercises hint {exercise.name}
"""


def definition(exercise: str, name: str, function: Callable) -> str:
    """One function: the reference's own first lines, with an empty body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    keep = set(inspect.signature(function).parameters)
    tree.decorator_list, tree.name = [], name
    trim(tree.args, keep)
    doc = ast.get_docstring(tree)
    says = f'{textwrap.indent(quoted(doc), "    ")}\n' if doc else ""
    return f'{header(tree)}\n{says}    raise NotImplementedError("{exercise}.{name}")'


def quoted(doc: str) -> str:
    return f'"""{doc}"""' if "\n" not in doc else f'"""{doc}\n"""'


def trim(arguments: ast.arguments, keep: set[str]) -> None:
    """Leaves out the parameters that aren't asked for (and `self`), each with its default."""
    plain = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    kept = [(argument, default) for argument, default in zip(plain, defaults, strict=True) if argument.arg in keep]
    only = [(argument, default) for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if argument.arg in keep]
    arguments.posonlyargs, arguments.args = [], [argument for argument, _ in kept]
    arguments.defaults = [default for _, default in kept if default is not None]
    arguments.kwonlyargs, arguments.kw_defaults = [argument for argument, _ in only], [default for _, default in only]


def header(tree: ast.FunctionDef) -> str:
    """def name(…) -> …: broken after a parameter where it is too long. Arrays are NumPy's, for a student."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and getattr(node.slice.elts[0], "id", None) == "Any":
            node.slice.elts[0] = ast.parse("np.ndarray", mode="eval").body
    returns = f" -> {ast.unparse(tree.returns)}" if tree.returns else ""
    lines, parameters = [f"def {tree.name}("], [str(part) for part in split_arguments(tree.args)]
    for number, parameter in enumerate(parameters):
        end = f"){returns}:" if number == len(parameters) - 1 else ","
        if len(lines[-1]) + len(parameter) + len(end) + 1 > WIDTH and lines[-1].strip() != f"def {tree.name}(":
            lines.append(" " * len(f"def {tree.name}(") + parameter + end)
        else:
            lines[-1] += ("" if lines[-1].endswith("(") else " ") + parameter + end
    return "\n".join(line.replace("'", '"') for line in lines) if parameters else f"def {tree.name}(){returns}:"


def split_arguments(arguments: ast.arguments) -> list[str]:
    """Each parameter as it is written, with its type and its default."""
    def one(argument: ast.arg, default: ast.expr | None) -> str:
        typed = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
        sign = (" = " if typed else "=") + ast.unparse(default) if default is not None else ""
        return f"{argument.arg}{typed}{sign}"

    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    made = [one(argument, default) for argument, default in zip(arguments.args, defaults, strict=True)]
    star = ["*"] if arguments.kwonlyargs else []
    return made + star + [one(argument, default) for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]


# --- which stubs were ever handed out: a file that equals one of them is nobody's work --------------------------------------

def fingerprint(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def released(name: str) -> set[str]:
    return {stubs[name] for stubs in files.read_json_object(RELEASED).values() if name in stubs}


def write_all(folder: Path) -> list[str]:
    """The build step: every stub written anew into the project's own exercises/, and its fingerprint noted under this version. Which changed?"""
    folder.mkdir(exist_ok=True)
    changed, made = [], {name: stub(load(name)) for name in names()}
    for name, source in made.items():
        path = folder / f"{name}.py"
        if not path.is_file() or path.read_text("utf-8") != source:
            files.write_file(path, source.encode())
            changed.append(name)
    files.write_json(RELEASED, {**files.read_json_object(RELEASED), __version__: {name: fingerprint(source) for name, source in made.items()}})
    return changed


if __name__ == "__main__":                   # make exercises
    for name in write_all(HERE.parents[1] / "exercises"):
        print(f"exercises/{name}.py is new")
