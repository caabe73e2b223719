"""The student's functions in place of the library's, in a class's copy of the package (see pack.py)."""

import functools
from collections.abc import Callable
from typing import Any

from ..exercises import load
from ..grading.student_ops import adapted
from .folder import Folder


@functools.cache
def module(name: str) -> dict[str, Any]:
    """The student's file, run once."""
    folder = Folder()
    path, source = folder.file(name), folder.source(name)
    if source is None:
        raise ValueError(f"This needs {path}, which is not there. `minillm exercises update` brings the stub.")
    scope: dict[str, Any] = {"__name__": f"exercises.{name}", "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), scope)
    except Exception as error:
        raise ValueError(f"{path} can't be run: {type(error).__name__}: {error}.") from error
    return scope


def function(exercise: str, name: str) -> Callable:
    """One function of the student's. A stub of it is a sentence, not a NotImplementedError."""
    made = module(exercise).get(name)

    @functools.wraps(made)
    def called(*arguments: Any, **options: Any) -> Any:
        try:
            return made(*arguments, **options)
        except NotImplementedError:
            raise ValueError(f"This needs {name} of exercises/{exercise}.py, which is still to be written.") from None

    if not callable(made):
        raise ValueError(f"exercises/{exercise}.py has no function {name}.")
    return called


@functools.cache
def operation(exercise: str) -> Any:
    """The student's forward and backward with the parameters of the library's operation."""
    return adapted(load(exercise), {name: function(exercise, name) for name in load(exercise).functions})
