"""A student's own functions, plugged into the real model.

An exercise that names an operation of the Ops table can stand in for it. All its checks must pass first; then its functions are loaded into
this process (it is the student's own machine), and dressed as the table wants them (adapted.py).
"""

import linecache
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import exercises
from ..exercises import Exercise
from ..model import Config
from ..ops import REFERENCE, Ops
from . import checking, recorded
from .adapted import ADAPTED, Adapted
from .compare import difference


@dataclass(frozen=True)
class StudentOps:
    ops: Ops                                     # the table
    own: tuple[str, ...]                         # the operations that are the student's
    others: Mapping[str, str]                    # the operations that an exercise asks for and that are the reference's, each with the reason
    notes: dict[str, None]                       # told once each: where the reference stood in for an operation that is the student's
    alone: bool                                  # in a class's copy of the package there is no reference for what is asked

    def require(self, config: Config) -> None:
        """Refuses, with the names, if this model needs an operation that isn't the student's."""
        if missing := [f"{name} ({self.others[name]})" for name in needed(config, self.own) if name in self.others]:
            raise ValueError(f"This model needs {len(missing)} operation{'s' if len(missing) > 1 else ''} that you have still to write: "
                             f"{'; '.join(missing)}.")


def needed(config: Config, own: Collection[str] = ()) -> list[str]:
    """The operations that exercises ask for, and that this model runs on. `own`: those that are the student's; attention of their own
    has a softmax of its own."""
    used = {"linear", "embedding", "cross_entropy", "attention", config.norm} | (set() if "attention" in own else {"softmax"})
    used |= ({"rope"} if config.positions == "rope" else set()) | ({"swiglu"} if config.feed_forward == "swiglu" else set())
    return [name for name in askable() if name in used]


def askable() -> dict[str, str]:
    """operation → the exercise that asks for it."""
    return {operation: name for name in exercises.names() if (operation := exercises.load(name).operation)}


def student_ops(folder: Path | str, **how: Any) -> StudentOps:
    """The reference's table with the student's functions wherever all checks of their exercise pass. `how` is handed to checking.run."""
    folder, own, others, notes = Path(folder), {}, {}, {}
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}. Give the one that holds your exercises, such as exercises/.")
    if not any((folder / f"{name}.py").is_file() for name in askable().values()):
        raise ValueError(f"{folder} holds none of the exercises whose functions a model can run on: "
                         f"{', '.join(f'{name}.py' for name in askable().values())}.")
    for operation, name in askable().items():
        functions, reason = loaded(exercises.load(name), folder / f"{name}.py", how)
        if functions is None:
            others[operation] = reason
        else:
            own[operation] = adapted(exercises.load(name), functions, notes)
    alone = any(exercises.load(name).recorded for name in askable().values())
    return StudentOps(REFERENCE.replace(**own), tuple(own), others, notes, alone)


def adapted(exercise: Exercise, functions: Mapping[str, Any], notes: dict[str, None] | None = None) -> Adapted:
    """A student's forward and backward as an operation of the table. In a class's copy, whose table calls the student's functions itself,
    nothing stands in for what they can't do."""
    form = ADAPTED.get(exercise.operation, Adapted)
    return form(exercise.operation, functions, getattr(REFERENCE, exercise.operation), {} if notes is None else notes, not exercise.recorded)


def loaded(exercise: Exercise, path: Path, how: Mapping[str, Any]) -> tuple[dict | None, str]:
    """(the student's functions, ""), or (None, why they can't be used)."""
    if not path.is_file():
        return None, f"there is no {path.name}"
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        return None, f"{path.name} can't be read: {problem}"
    verdicts = checking.run(exercise, source, filename=str(path), **how)
    if all(verdict.status == "not started" for verdict in verdicts):
        return None, "not started"
    if failed := next((verdict for verdict in verdicts if verdict.status != "passed"), None):
        return None, f"its check {failed.check} {'was not passed' if failed.status == 'failed' else 'was ' + failed.status}"
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    linecache.checkcache(str(path))
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as error:                   # it was fine in the check's process
        return None, f"{path.name} can't be loaded: {type(error).__name__}: {error}"
    functions = {name: getattr(module, name) for name in exercise.functions}
    return (None, LEANS) if leans_on_the_last_call(exercise, functions) else (functions, "")


LEANS = "its backward looks at what the last forward left behind, not at its cache: a model calls forward many times before it calls backward"


def leans_on_the_last_call(exercise: Exercise, functions: Mapping[str, Any]) -> bool:
    """Whether another forward between forward and backward changes the gradients."""
    check = exercise.check("backward")
    drawn = [each.case for each in recorded.prepared(exercise, check)] if exercise.recorded else check.cases(np.random.default_rng(0))
    cases = [case for case in drawn if case.steps[-1].function == "backward"][:2]

    def forward(case: Any) -> Any:
        values = [value.copy() if isinstance(value, np.ndarray) else value for value in (case.values[name] for name in case.steps[0].arguments)]
        return functions["forward"](*values, **{key: case.values[name] for key, name in case.steps[0].options.items()})[1]

    def backward(cache: Any) -> Any:
        return functions["backward"](cases[0].values[cases[0].steps[-1].arguments[0]], cache)

    try:
        alone = backward(forward(cases[0]))
        cache = forward(cases[0])
        forward(cases[-1])
        return difference(backward(cache), alone) is not None
    except Exception:                            # such as shapes of the other call that don't fit
        return True
