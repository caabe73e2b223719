"""A student's functions with the parameters of the library's operations.

    types       what comes back has the dtype that was handed in, and the shape that is due; if it hasn't, a sentence says so
    into=       where the model collects the gradients of weights, they are added there
    options     what an exercise leaves out (windows, masks, label smoothing, …) the reference does, and that is told once
    documents   a row that holds several texts is cut, and attention is asked for each
    errors      become a sentence with the operation, the place in the model, and the student's line
"""

import inspect
import traceback
from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from ..arrays import added, here, wide
from ..checks import describe
from ..ops.cross_entropy import IGNORE


class StudentProblem(ValueError):
    """A student's function failed while a model was running on it."""


class Kept(NamedTuple):
    """What an adapted forward leaves for its backward: the student's cache and the shapes of the arrays; or the reference's."""
    cache: Any
    arrays: tuple = ()
    by_reference: bool = False


class Adapted:
    """One operation. What differs from operation to operation is overridden below."""

    def __init__(self, name: str, functions: Mapping[str, Any], reference: Any, notes: dict[str, None], falls_back: bool = True):
        self.name, self.functions, self.reference, self.notes, self.falls_back = name, functions, reference, notes, falls_back
        self.flops = reference.flops

    def forward(self, *arrays: Any, **options: Any) -> tuple[Any, Kept]:
        given = inspect.signature(self.reference.forward).bind(*arrays, **options)
        given.apply_defaults()
        if reason := self.cannot(**given.arguments):
            if not self.falls_back:
                raise StudentProblem(f"Your {self.name} can't be used{self.where()}: {reason}, and in this copy nothing stands in for it.")
            self.notes[f"{self.name}: {reason}, so there the reference stood in."] = None
            y, cache = self.reference.forward(*arrays, **options)
            return y, Kept(cache, by_reference=True)
        return self.own_forward(**given.arguments)

    def backward(self, dy: Any, cache: Kept, into: Any = None) -> tuple:
        if cache.by_reference:
            return self.reference.backward(dy, cache.cache, **({} if into is None else {"into": into}))
        return self.collected(self.own_backward(dy, cache), into)

    # --- what an operation may need otherwise ---

    def cannot(self, **given: Any) -> str | None:
        """What in this call the exercise doesn't ask for."""
        return None

    def own_forward(self, **given: Any) -> tuple[Any, Kept]:
        arrays = tuple(value for value in given.values() if value is None or isinstance(value, np.ndarray))
        options = {name: value for name, value in given.items() if value is not None and not isinstance(value, np.ndarray)}
        y, cache = self.call_forward(*arrays, **options)
        return self.fitted(y, self.result_shape(*arrays), next(a.dtype for a in arrays if a.dtype.kind == "f"), "forward"), Kept(cache, arrays)

    def result_shape(self, *arrays: Any) -> tuple:
        return arrays[0].shape

    def own_backward(self, dy: Any, kept: Kept) -> tuple:
        return self.fitted_gradients(self.call("backward", dy, kept.cache), kept.arrays)

    def collected(self, gradients: tuple, into: Any) -> tuple:
        """The gradients, those of weights added to `into`."""
        return gradients

    # --- calls, and what comes back ---

    def call_forward(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        result = self.call("forward", *arguments, **options)
        if not isinstance(result, tuple) or len(result) != 2:
            raise StudentProblem(f"Your {self.name}.forward returned no pair (y, cache){self.where()}.")
        return result

    def call(self, function: str, *arguments: Any, **options: Any) -> Any:
        try:
            return self.functions[function](*arguments, **options)
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == inspect.getfile(self.functions[function])]
            line = f" It happened in {frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
            given = ", ".join(describe(value) for value in arguments if isinstance(value, np.ndarray))
            raised = f"{type(error).__name__}: {error}{self.where()}"
            raise StudentProblem(f"Your {self.name}.{function} raised {raised}, called with {given}.{line}") from error

    def fitted(self, value: Any, shape: tuple, dtype: Any, function: str) -> np.ndarray:
        """An array of the shape and dtype that the model counts on."""
        value = np.asarray(value)
        if value.shape != shape or value.dtype.kind != "f":
            raise StudentProblem(f"Your {self.name}.{function} returned {value.dtype} {value.shape}{self.where()}, where floats of the shape "
                                 f"{shape} are due.")
        return value.astype(dtype, copy=False)

    def fitted_gradients(self, gradients: Any, arrays: tuple) -> tuple:
        wanted = [a for a in arrays if a is None or a.dtype.kind == "f"]
        if not isinstance(gradients, tuple | list) or len(gradients) != len(wanted):
            raise StudentProblem(f"Your {self.name}.backward must return a tuple of {len(wanted)} gradients{self.where()}.")
        return tuple(None if a is None else self.fitted(g, a.shape, wide(a).dtype, "backward") for g, a in zip(gradients, wanted, strict=True))

    def where(self) -> str:
        return f" in {here()}" if here() else ""


class Linear(Adapted):
    def result_shape(self, x: Any, w: Any, b: Any = None) -> tuple:
        return (*x.shape[:-1], w.shape[1])

    def collected(self, gradients: tuple, into: Any) -> tuple:
        dx, *weights = gradients
        return dx, *(added(gradient, target) for gradient, target in zip(weights, into or (None, None), strict=True))


class Embedding(Adapted):
    def result_shape(self, ids: Any, w: Any) -> tuple:
        return (*ids.shape, w.shape[1])

    def collected(self, gradients: tuple, into: Any) -> tuple:
        return (added(gradients[0], into),)


class Rope(Adapted):
    def cannot(self, x: Any, positions: Any, theta: float, pairing: str, scaling: Any) -> str | None:
        if pairing != "half":
            return f"channels are paired as {pairing!r}, and the exercise pairs halves"
        if scaling is not None:
            return "the turns are slowed for long texts, which the exercise leaves out"
        return "each row has positions of its own, which the exercise leaves out" if positions is not None and positions.ndim > 1 else None

    def own_forward(self, x: Any, positions: Any, theta: float, pairing: str, scaling: Any) -> tuple[Any, Kept]:
        positions = np.arange(x.shape[1]) if positions is None else positions
        y, cache = self.call_forward(x, positions, theta)
        return self.fitted(y, x.shape, x.dtype, "forward"), Kept(cache, (x,))


class Attention(Adapted):
    """Causal, over whole rows; a row of several documents is cut into them."""

    def cannot(self, q: Any, k: Any, v: Any, causal: bool, window: int | None, documents: Any, mask: Any, scale: float | None,
               **_: Any) -> str | None:
        asked = {"a window": window is not None, "a mask of its own": mask is not None, "no causal mask": not causal,
                 "another scale than 1/√e": scale is not None and abs(scale * sqrt(q.shape[-1]) - 1) > 1e-12,
                 "a cache of earlier keys": q.shape[1] != k.shape[1],
                 "documents in pieces": documents is not None and in_pieces(documents)}
        found = [words for words, needed in asked.items() if needed]
        return f"it was asked for {found[0]}, which the exercise leaves out" if found else None

    def own_forward(self, q: Any, k: Any, v: Any, documents: Any, **_: Any) -> tuple[Any, Kept]:
        pieces = [(slice(None), slice(None))] if documents is None else runs(documents)
        y, caches = np.empty_like(q), []
        for place in pieces:
            part, cache = self.call_forward(q[place], k[place], v[place])
            y[place] = self.fitted(part, q[place].shape, q.dtype, "forward")
            caches.append((place, cache))
        return y, Kept(caches, (q, k, v))

    def own_backward(self, dy: Any, kept: Kept) -> tuple:
        gradients = tuple(np.zeros_like(a) for a in kept.arrays)
        for place, cache in kept.cache:
            parts = self.fitted_gradients(self.call("backward", dy[place], cache), tuple(a[place] for a in kept.arrays))
            for gradient, part in zip(gradients, parts, strict=True):
                gradient[place] = part
        return gradients


def runs(documents: Any) -> list[tuple[slice, slice]]:
    """Where each document stands: (its row, its positions)."""
    found = []
    for row, numbers in enumerate(documents):
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        found += [(slice(row, row + 1), slice(begin, end)) for begin, end in zip(edges, edges[1:], strict=False)]
    return found


def in_pieces(documents: Any) -> bool:
    """Whether some document is interrupted by another in its row."""
    return any(len(np.unique(numbers)) <= np.count_nonzero(np.diff(numbers)) for numbers in documents)


class CrossEntropy(Adapted):
    """The exercise's loss is a mean over the rows that count; slices of a batch share the whole batch's count."""

    def cannot(self, label_smoothing: float, z_loss: float, **_: Any) -> str | None:
        return "label smoothing and z-loss are no part of the exercise" if label_smoothing or z_loss else None

    def own_forward(self, logits: Any, targets: Any, ignore: int, denominator: Any, **_: Any) -> tuple[Any, Kept]:
        loss, cache = self.call_forward(logits, targets, **({} if ignore == IGNORE else {"ignore": ignore}))
        share = 1.0 if denominator is None else max(1, int((targets != ignore).sum())) / float(denominator)
        loss = self.fitted(np.asarray(loss, wide(logits).dtype), (), wide(logits).dtype, "forward") * share
        return (np.asarray(loss), np.asarray(loss)), Kept((cache, share), (logits,))

    def own_backward(self, dy: Any, kept: Kept) -> tuple:
        cache, share = kept.cache
        return self.fitted_gradients(self.call("backward", float(dy) * share, cache), kept.arrays)


ADAPTED = {"linear": Linear, "embedding": Embedding, "rope": Rope, "attention": Attention, "cross_entropy": CrossEntropy}
