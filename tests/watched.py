"""Arrays that watch what is done with them: one kind counts floating-point operations, one refuses mixed precisions.

Both are ndarrays that see every ufunc they meet. What comes out of a ufunc is watched too, and inside `with watched(kind):` so are
the arrays that NumPy makes from nothing (np.zeros, np.empty, …), so nothing computed on the way escapes.
"""

import contextlib
from unittest import mock

import numpy as np

import minillm.ops.gelu


class Watched(np.ndarray):
    """Calls `seen` for every ufunc and np.where that touches an array of floats."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [bare(x) for x in inputs]
        if out is not None:
            options["out"] = tuple(bare(x) for x in out)
        result = getattr(ufunc, method)(*plain, **options)
        made = out[0] if out is not None else plain[0] if method == "at" else result
        self.seen(ufunc.__name__, method, plain, bare(made))
        return None if method == "at" else made if out is not None else self.wrap(result)

    def __array_function__(self, function, types, inputs, options):
        if function is not np.where:
            return super().__array_function__(function, types, inputs, options)
        plain = [bare(x) for x in inputs]
        result = np.where(*plain)
        self.seen("where", "__call__", plain, result)
        return self.wrap(result)

    @classmethod
    def wrap(cls, result):
        if isinstance(result, tuple):
            return tuple(cls.wrap(each) for each in result)
        return np.asarray(result).view(cls) if isinstance(result, (np.ndarray, np.generic)) else result

    def seen(self, name, method, inputs, made):
        raise NotImplementedError


def bare(x):
    return x.view(np.ndarray) if isinstance(x, Watched) else x


def is_float(x):
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fV"      # "V": bfloat16


class Strict(Watched):
    """Refuses float arrays of different precisions in one operation, and results wider than what went in."""

    def seen(self, name, method, inputs, made):
        floats = [x.dtype for x in inputs if is_float(x)]
        dtypes = {str(dtype) for dtype in floats} | ({str(made.dtype)} if floats and is_float(made) else set())
        assert len(dtypes) <= 1, f"{name} mixes {' and '.join(sorted(dtypes))}"


class Counted(Watched):
    """Adds up what is executed: 2·m·n·k for a matrix product; 1 for each number that any other operation on floats makes,
    and for each term of a sum. Copies, casts, integer arithmetic and what is done to single numbers are free."""

    matmul = elementwise = 0

    def seen(self, name, method, inputs, made):
        if name == "matmul":
            Counted.matmul += 2 * made.size * inputs[0].shape[-1]
        elif any(is_float(x) for x in [*inputs, made]) and any(np.ndim(x) for x in inputs):
            Counted.elementwise += inputs[0].size if method == "reduce" else inputs[2].size if method == "at" else made.size


def counted(function, *arguments, **options):
    """(result, FLOPs in matrix products, other FLOPs)."""
    Counted.matmul = Counted.elementwise = 0
    with watched(Counted):
        result = function(*arguments, **options)
    return result, Counted.matmul, Counted.elementwise


@contextlib.contextmanager
def watched(kind):
    """Arrays made from nothing are of this kind inside. erf, many steps of arithmetic here, counts as the one it stands for."""
    def making(function):
        return lambda *arguments, **options: function(*arguments, **options).view(kind)

    erf = minillm.ops.gelu.erf
    erf(np.zeros(1))                             # makes its coefficients, once, and unwatched

    def one_operation(x):
        y = erf(bare(x))
        Counted.elementwise += y.size
        return y.view(kind)

    with contextlib.ExitStack() as stack:
        for name in ("zeros", "empty", "full", "arange"):
            stack.enter_context(mock.patch.object(np, name, making(getattr(np, name))))
        stack.enter_context(mock.patch.object(minillm.ops.gelu, "erf", one_operation))
        yield


def everywhere(change, x):
    """The same structure of tuples, with `change` done to every array in it."""
    if isinstance(x, np.ndarray):
        return change(x)
    if isinstance(x, tuple):
        parts = [everywhere(change, each) for each in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x
