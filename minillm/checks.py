"""Is a gradient right? The check that every backward must pass, and a table of operations that watches for the first NaN.

A gradient is checked against the slope of the function itself. With a random upstream gradient dy, the scalar Σ dy · op(x)
has the gradient that op.backward(dy) claims; and its slope along one number x_i is, to third order in the small step δ,

    ∂/∂x_i ≈ (f(x_i + δ) − f(x_i − δ)) / 2δ

in float64, for every number of every array. Claimed and measured gradients are compared by norm, tensor by tensor:

    ‖claimed − measured‖ ≤ 1e-6 · max(‖claimed‖, ‖measured‖)

The upstream must be random: for dy = (1, …, 1) the gradient of a softmax is exactly zero, and a backward that returns
nothing but zeros would pass. The inputs should be of order 1, so that no part of the gradient is too small to see.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .arrays import here, wide, xp
from .ops import Ops

TOLERANCE = 1e-6
ZERO = 1e-12        # what mathematics says is zero may be this much of the whole gradient's norm


@dataclass(frozen=True)
class Row:
    """One tensor's verdict."""

    name: str
    claimed: float              # norms
    measured: float
    error: float                # relative; for an expected zero, the norm as a share of the whole gradient's
    worst: str                  # the entry that differs most, with both numbers
    verdict: str                # "" if it passed, else a sentence


@dataclass(frozen=True)
class Report:
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        return not any(row.verdict for row in self.rows)

    @property
    def worst(self) -> Row:
        """The failed tensor, if there is one, with the largest error; else the passed one with the largest error."""
        return max(self.rows, key=lambda row: (bool(row.verdict), row.error))

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [f"{'gradient of':{width}}   claimed norm   measured norm   relative error (at most {TOLERANCE:g})"]
        lines += [f"{row.name:{width}}   {row.claimed:12.5g}   {row.measured:13.5g}   {row.error:.1e}  {row.verdict or 'ok'}"
                  for row in self.rows]
        return "\n".join([*lines, f"worst entry: {self.worst.worst}"])


def gradient_check(subject: Any, *arrays: Any, zeros: tuple = (), seed: int = 0, step: float = 1e-5, entries: int | None = None,
                   output: Callable = lambda y: y, **options: Any) -> Report:
    """Compares a hand-written backward with numerical slopes; `report.ok`, and print(report) for the table.

    subject   an operation, with its arrays and options; or a model, with (tokens, targets)
    zeros     the names of tensors whose gradient is zero by mathematics, and so must be; all others must not
    entries   of large tensors, compare only so many numbers, drawn at random
    output    which of an operation's outputs is differentiated, for those that also return a report: lambda y: y[0]
    """
    if hasattr(subject, "loss_and_grads"):
        tensors, claimed, function = _of_model(subject, arrays, options)
    else:
        tensors, claimed, function = _of_operation(subject, arrays, options, output, seed)
    for name in set(zeros) - tensors.keys():
        raise ValueError(f"`zeros` lists {name!r}, but there is no tensor {name!r}; there are {', '.join(tensors)}.")
    rng = np.random.default_rng(seed)
    measured = {name: _slopes(function, tensor, _chosen(tensor, entries, rng), step) for name, tensor in tensors.items()}
    whole = np.sqrt(sum(np.square(gradient).sum() for gradient in claimed.values()))
    return Report(tuple(_row(str(name), claimed[name], measured[name], name in zeros, whole) for name in tensors))


def _of_operation(op: Any, arrays: tuple, options: dict, output: Callable, seed: int) -> tuple[dict, dict, Callable]:
    """The float arrays by their number, the gradients that backward claims, and the scalar that they are gradients of."""
    arrays = [array.astype(np.float64) if _is_float(array) else array for array in arrays]
    y, cache = op.forward(*arrays, **options)
    rng = np.random.default_rng(seed + 1)
    watched = output(y)
    parts = watched if isinstance(watched, tuple) else (watched,)
    upstream = tuple(rng.standard_normal(np.shape(part)) for part in parts)
    gradients = op.backward(upstream if isinstance(watched, tuple) else upstream[0], cache)
    names = _names(op.forward, len(arrays))
    tensors = {name: array for name, array in zip(names, arrays, strict=True) if _is_float(array)}
    gradients = [gradient for gradient in gradients if gradient is not None]
    if len(gradients) != len(tensors):
        raise ValueError(f"backward returned {len(gradients)} gradients for {len(tensors)} float arrays.")
    for name, gradient in zip(tensors, gradients, strict=True):
        if np.shape(gradient) != tensors[name].shape:
            raise ValueError(f"The gradient of {name} has the shape {np.shape(gradient)}, but {name} has {tensors[name].shape}.")

    def function() -> float:
        y = output(op.forward(*arrays, **options)[0])
        return sum(float((dy * part).sum()) for dy, part in zip(upstream, y if isinstance(y, tuple) else (y,), strict=True))

    return tensors, dict(zip(tensors, gradients, strict=True)), function


def _names(forward: Callable, count: int) -> list[str]:
    """What forward calls its arrays; those of *weights are weights0, weights1, …"""
    names = []
    for parameter in inspect.signature(forward).parameters.values():
        many = parameter.kind is parameter.VAR_POSITIONAL
        names += [f"{parameter.name}{i}" for i in range(count - len(names))] if many else [parameter.name]
    return names[:count]


def _of_model(model: Any, batch: tuple, options: dict) -> tuple[dict, dict, Callable]:
    _, gradients = model.loss_and_grads(*batch, **options)
    claimed = {name: np.array(gradient) for name, gradient in gradients.items()}
    return dict(model.params), claimed, lambda: float(model.forward(*batch, **options)[0])


def _is_float(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def _chosen(tensor: np.ndarray, entries: int | None, rng: np.random.Generator) -> np.ndarray:
    if entries is None or tensor.size <= entries:
        return np.arange(tensor.size)
    return np.sort(rng.choice(tensor.size, entries, replace=False))


def _slopes(function: Callable, tensor: np.ndarray, chosen: np.ndarray, step: float) -> np.ma.MaskedArray:
    """The measured gradient, masked where it was not measured. Moves one number at a time, and puts it back."""
    slopes = np.ma.masked_all(tensor.shape, np.float64)
    for i in chosen:
        index = np.unravel_index(i, tensor.shape)
        before = tensor[index]
        tensor[index] = before + step
        up = function()
        tensor[index] = before - step
        down = function()
        tensor[index] = before
        slopes[index] = (up - down) / (2 * step)
    return slopes


def _row(name: str, claimed: np.ndarray, measured: np.ma.MaskedArray, is_zero: bool, whole: float) -> Row:
    compared = ~np.ma.getmaskarray(measured)
    a, b = np.asarray(claimed, np.float64)[compared], measured.data[compared]
    difference = a - b
    size_a, size_b = np.linalg.norm(a), np.linalg.norm(b)
    at = int(np.argmax(np.where(np.isnan(difference), np.inf, np.abs(difference)))) if a.size else 0
    index = tuple(int(i[at]) for i in np.nonzero(compared)) if a.size else ()
    worst = f"{name}{list(index)}: claimed {a[at]:.9g}, measured {b[at]:.9g}" if a.size else "none: the array is empty"
    if not np.isfinite(a).all():
        error, verdict = np.inf, "isn't finite"
    elif is_zero:
        error = size_a / whole if whole else 0.0
        verdict = ("should be zero, and isn't" if not error <= ZERO
                   else "is listed as zero, but the slope isn't" if not size_b <= TOLERANCE * max(whole, 1) else "")
    else:
        error = np.linalg.norm(difference) / max(size_a, size_b) if max(size_a, size_b) else np.inf if a.size else 0.0
        verdict = ("is zero where nothing says it should be" if not max(size_a, size_b) and a.size
                   else "" if error <= TOLERANCE else "differs")      # a slope of NaN compares false, so it differs
    return Row(name, float(size_a), float(size_b), float(error), worst, verdict)


# --- the guarded table -----------------------------------------------------------------------------------------------------

def guarded(ops: Ops) -> Ops:
    """The same table, where the first NaN or infinity that an operation makes stops the run with its name and place."""
    return replace(ops, **{field.name: _Guarded(field.name, getattr(ops, field.name)) for field in fields(ops)})


class _Guarded:
    def __init__(self, name: str, op: Any):
        self.name, self.op, self.flops = name, op, op.flops

    def forward(self, *arrays: Any, **options: Any) -> tuple:
        y, cache = self.op.forward(*arrays, **options)
        self.inspect("forward", y if isinstance(y, tuple) else (y,), arrays)
        return y, cache

    def backward(self, dy: Any, cache: Any, **options: Any) -> tuple:
        gradients = self.op.backward(dy, cache, **options)
        self.inspect("backward", gradients, dy if isinstance(dy, tuple) else (dy,))
        return gradients

    def inspect(self, direction: str, made: tuple, given: tuple) -> None:
        for number, array in enumerate(made):
            if _is_bad(array):
                kind = "output" if direction == "forward" else "gradient"
                inputs = ", ".join(describe(x) for x in given if hasattr(x, "shape"))
                blame = "its inputs were already bad" if any(_is_bad(x) for x in given) else "its inputs were finite"
                raise FloatingPointError(f"{here() or 'outside any layer'}: {self.name}.{direction} made {describe(array)} as {kind} "
                                         f"{number}; {blame}: {inputs}.")


def _floats(array: Any) -> Any:
    """The array in a precision that can be asked about NaN, or None if it holds no floats ("V" is bfloat16's kind)."""
    array = np.asarray(array) if isinstance(array, np.generic) else array
    return wide(array) if hasattr(array, "dtype") and array.dtype.kind in "fV" else None


def _is_bad(array: Any) -> bool:
    floats = _floats(array)
    return floats is not None and not bool(xp(floats).isfinite(floats).all())


def describe(array: Any) -> str:
    """Such as: float32 (2, 16, 64) with 3 NaN, 1 infinite, else between -1.5 and 2.25"""
    what = f"{array.dtype} {tuple(array.shape)}"
    array = _floats(array)
    if array is None or not array.size:
        return what
    finite = xp(array).isfinite(array)
    nan, bad = int(xp(array).isnan(array).sum()), int((~finite).sum())
    counts = [f"{n} {word}" for n, word in ((nan, "NaN"), (bad - nan, "infinite")) if n]
    if bad < array.size:
        good = array[finite]
        counts.append(f"{'else ' if counts else ''}between {float(good.min()):.3g} and {float(good.max()):.3g}")
    return f"{what} with {', '.join(counts)}" if bad else f"{what} {counts[0]}"
