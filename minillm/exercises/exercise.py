"""What an exercise is: functions to write, checks of them, and the mistakes that people make.

An exercise NAME is two files here: NAME.toml, what people read and teachers change (title, assignment, statement, hints, points,
limits), and NAME.py, which has

    FUNCTIONS   name → the reference: the library's own function, or one defined there where the library has none of that shape.
                The stub that students receive is derived from it: signature, types, shapes, docstring.
    CHECKS      what is called with what. A check is a function from a random generator to cases.
    MISTAKES    wrong versions of the reference. A student's answer that equals a mistake's answer has its diagnosis.

A case is data, so that it can cross a pipe, be recorded, or be run by anyone: named values, and the calls to make with them.
"""

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Step:
    """One call: `results` names what it returns. One name takes the value whole; several unpack a tuple of just that length; a name
    that begins with `_` (a cache) never leaves the student's process."""
    function: str
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)      # keyword → name of a value
    results: tuple[str, ...] = ("result",)


@dataclass(frozen=True)
class Case:
    """Values by name (arrays, numbers, strings, bytes, None, lists and tuples of these), the calls, and which values are compared."""
    values: Mapping[str, Any]
    steps: tuple[Step, ...]
    compared: tuple[str, ...]
    may_change: tuple[str, ...] = ()                              # values that the function is meant to change in place
    provided: Mapping[str, str] = field(default_factory=dict)     # name → Python source: modules handed in, such as a function to differentiate

    def __str__(self) -> str:
        values = {name: value for name, value in self.values.items() if name not in self.provided}
        given = [[*(told(name, values) for name in step.arguments), *(f"{key}={told(name, values)}" for key, name in step.options.items())]
                 for step in self.steps]
        return "; ".join(f"{step.function}({', '.join(arguments)})" for step, arguments in zip(self.steps, given, strict=True))


def told(name: str, values: Mapping[str, Any]) -> str:
    """A value as one writes it in a sentence: arrays by name and shape."""
    value = values.get(name, name)
    if isinstance(value, np.ndarray):
        return f"{name} {value.dtype} {value.shape}"
    return name if name not in values else repr(value) if len(repr(value)) < 40 else f"{name} ({type(value).__name__} of {len(value)})"


def call(function: str, *, returns: str | tuple[str, ...] = "result", options: Mapping[str, Any] | None = None, may_change: tuple[str, ...] = (),
         provided: Mapping[str, str] | None = None, **values: Any) -> Case:
    """function(*values, **options), in the order given. `returns=("y", "_cache")` unpacks a pair and compares y alone."""
    options, results = dict(options or {}), (returns,) if isinstance(returns, str) else returns
    step = Step(function, tuple(values), {key: key for key in options}, results)
    return Case({**values, **options}, (step,), tuple(name for name in results if not name.startswith("_")), may_change, dict(provided or {}))


def forward(*, options: Mapping[str, Any] | None = None, **values: Any) -> Case:
    """y, cache = forward(*values, **options): y is compared."""
    return call("forward", returns=("y", "_cache"), options=options, **values)


def backward(dy: Any, *, options: Mapping[str, Any] | None = None, times: int = 1, **values: Any) -> Case:
    """forward as above, then gradients = backward(dy, cache), with the student's own cache; `times=2` asks whether it can be used again."""
    first = forward(options=options, **values)
    steps = tuple(Step("backward", ("dy", "_cache"), {}, (f"gradients{'' if i == 0 else i + 1}",)) for i in range(times))
    return Case({**first.values, "dy": dy}, first.steps + steps, tuple(step.results[0] for step in steps))


@dataclass(frozen=True)
class Check:
    """`name` is short and stable: reports and points refer to it. `title` completes the sentence "It checks that …". `after`: checks
    that must pass before this one can say anything. `says`: for mistakes that only this check can see, what a failure of it means."""
    name: str
    title: str
    cases: Callable[[np.random.Generator], Iterable[Case]]
    after: tuple[str, ...] = ()
    tolerance: float | None = None                                # None: from dtype and size (grading/compare.py)
    says: str | None = None


@dataclass(frozen=True)
class Mistake:
    """`name`: short, the same words in every report and histogram ("ε outside the root"). `advice`: a question or a sentence that
    points at the mistake and does not write the code. `functions`: the reference with the mistake in it."""
    name: str
    advice: str
    functions: Mapping[str, Callable]


def mistake(name: str, advice: str, source: types.ModuleType | Mapping[str, Callable], *edits: tuple[str, str]) -> Mistake:
    """A module (or an exercise's own functions) with pieces of its source replaced, each of which must stand there exactly once."""
    module = source if isinstance(source, types.ModuleType) else sys.modules[next(iter(source.values())).__module__]
    text = inspect.getsource(module).partition("\nFUNCTIONS = ")[0]          # below it stand the mistakes themselves
    for old, new in edits:
        if text.count(old) != 1:
            raise ValueError(f"The mistake {name!r} replaces {old!r}, which stands {text.count(old)} times in {module.__name__}, not once.")
        text = text.replace(old, new)
    wrong = types.ModuleType(module.__name__)
    wrong.__package__, wrong.__file__ = module.__package__, module.__file__
    exec(compile(text, f"<{module.__name__}: {name}>", "exec"), wrong.__dict__)
    functions = source if isinstance(source, Mapping) else {key: value for key, value in vars(module).items()
                                                            if inspect.isfunction(value) and value.__module__ == module.__name__}
    return Mistake(name, advice, {key: getattr(wrong, value.__name__) for key, value in functions.items()})


def asked(function: Callable, without: tuple[str, ...] = ()) -> Callable:
    """A function of the library as an exercise asks for it: some optional parameters are left out. Stubs show the signature that this
    function has; inspect.unwrap gives the library's."""
    whole = inspect.signature(function)
    for name in without:
        if name not in whole.parameters or whole.parameters[name].default is inspect.Parameter.empty:
            raise ValueError(f"Only an optional parameter can be left out; {name} of {function.__name__} is none.")

    @functools.wraps(function)
    def narrowed(*arguments: Any, **options: Any) -> Any:
        narrowed.__signature__.bind(*arguments, **options)        # a TypeError for what the exercise doesn't ask for
        return function(*arguments, **options)

    narrowed.__signature__ = whole.replace(parameters=[each for name, each in whole.parameters.items() if name not in without])
    return narrowed
