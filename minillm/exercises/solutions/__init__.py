"""Model answers, which a class is handed for the assignments that it has behind it: a plain file of NumPy for each exercise.

Where the reference is the library's own module, written for GPUs and 16-bit numbers too, solutions/NAME.py has the same in plain NumPy.
Where it was written for the exercise, it is the model answer: the functions above FUNCTIONS in exercises/NAME.py.
"""

import ast
import inspect
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent


def solution(name: str) -> str:
    """The source of a file that passes all checks of the exercise, and needs nothing of minillm."""
    own = HERE / f"{name}.py"
    return own.read_text("utf-8") if own.is_file() else derived(name)


def derived(name: str) -> str:
    """The exercise's functions, and the library's where it takes them as they are; arrays are NumPy's for a student."""
    exercise = import_module(f"minillm.exercises.{name}")
    sources = {inspect.getmodule(inspect.unwrap(function)): None for function in exercise.FUNCTIONS.values()}
    parts = [part for module in sources for part in parts_of(module, exercise.FUNCTIONS)]
    body = "\n\n\n".join(part for part in parts if part.startswith(("def ", "class ")))
    constants = "\n".join(part for part in parts if not part.startswith(("def ", "class ", "import ", "from ")))
    imports = [part for part in parts if part.startswith(("import ",
        "from ")) and not part.endswith("import numpy as np") and "jaxtyping" not in part]
    imports += ["from typing import Any"] if "Any" in body else []
    shapes = [word for word in ("Bool", "Float", "Int", "Integer") if f"{word}[" in body]
    arrays = ["import numpy as np"] if "np." in body + constants else []
    arrays += [f"from jaxtyping import {', '.join(shapes)}"] if shapes else []
    return "\n\n".join(each for each in ("\n".join(sorted(imports)), "\n".join(arrays), constants, f"\n{body}\n") if each).lstrip("\n")


def parts_of(module, functions) -> list[str]:
    """The statements of a module that the functions need: imports that aren't minillm's, constants, and functions, each as it is written."""
    text = inspect.getsource(module).partition("\nFUNCTIONS = ")[0]
    statements = {}
    for node in ast.parse(text).body:
        names = [node.name] if isinstance(node, ast.FunctionDef) else [target.id for target in node.targets] if isinstance(node, ast.Assign) else \
                [alias.asname or alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level",
                    0) else []
        for each in names:
            statements[each] = node
    wanted = {inspect.unwrap(function).__name__ for function in functions.values()} & statements.keys()
    while more := {used.id for each in wanted for used in ast.walk(statements[each]) if isinstance(used, ast.Name)} & statements.keys() - wanted:
        wanted |= more
    return [ast.get_source_segment(text, node).replace('[Any, "', '[np.ndarray, "') for node in dict.fromkeys(statements.values())
            if any(statements[each] is node for each in wanted)]
