"""Arrays that see everything that is done with them. What they do about it is for a subclass to say: count it, or refuse it.

A Watched array is an ordinary NumPy array whose class is asked first (__array_ufunc__, __array_function__) whenever NumPy is about to
compute with it. It lets NumPy compute on the plain array, so not a bit of the result changes, reports what was done, and hands back
what came out as a watched array. So the watching spreads from the inputs of a program to all that is computed from them. Three doors
lead out, and all are shut inside `with watching(kind)`:

    arrays made from nothing     np.zeros, np.empty, np.arange, … make watched arrays there
    turning it into plain ones   np.asarray and its like keep the class; x.view(np.ndarray), x.base, float(x) raise Escaped
    functions that ask nobody    np.einsum, np.dot, np.linalg, np.fft, x.dot, …: they raise Escaped, everywhere

What works on the bare memory (memoryview, np.nditer) can't be seen; then the count falls short of the claim.
"""

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from ..ops import gelu


class Escaped(RuntimeError):
    """Something would be computed that no watched array sees."""


ADVICE = "write it with @, ufuncs and reductions"

# NumPy's functions that only ask for sizes, or are written in terms of ufuncs, which are seen inside …
COMPOSED = {np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.any, np.all, np.clip, np.cumsum, np.cumprod,
            np.shape, np.ndim, np.size, np.shares_memory, np.may_share_memory}
# … and those that only move numbers or compare them.
MOVES = {np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.broadcast_to, np.broadcast_arrays,
         np.copy, np.concatenate, np.stack, np.vstack, np.hstack, np.split, np.array_split, np.repeat, np.tile, np.roll, np.flip,
         np.take, np.take_along_axis, np.tril, np.triu, np.diagonal, np.nonzero, np.argwhere, np.flatnonzero,
         np.argmax, np.argmin, np.sort, np.argsort, np.partition, np.argpartition, np.searchsorted, np.unique, np.array_equal,
         np.zeros_like, np.empty_like, np.ones_like, np.full_like}
MAKERS = ("zeros", "empty", "ones", "full", "arange", "linspace", "eye", "identity", "array", "asarray", "asanyarray", "ascontiguousarray")
PRODUCTS = {"matmul", "vecdot", "matvec", "vecmat"}                      # ufuncs that sum products over the first input's last axis


def _copying(name: str) -> Callable:
    """ndarray's method, reporting what it copied; a view copies nothing."""
    def method(self: "Watched", *arguments: Any, **options: Any) -> Any:
        result = getattr(np.ndarray, name)(bare(self), *bare(arguments), **options)
        if not np.may_share_memory(result, bare(self)):
            self.moved(result, result) if name in ("take", "repeat") else self.moved(bare(self), result)
        return self.wrap(result)
    return method


def _silent(name: str) -> Callable:
    """In place of a method that computes without asking."""
    def method(self: "Watched", *arguments: Any, **options: Any) -> Any:
        raise Escaped(f"x.{name} works where nobody sees it: {ADVICE}.")
    return method


class Watched(np.ndarray):
    """`seen` is called for everything that computes, `moved` for what only copies."""

    def seen(self, name: str, method: str, inputs: list, made: list) -> None:
        raise NotImplementedError

    def moved(self, source: Any, target: Any) -> None:
        pass

    # --- what NumPy asks ---

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: tuple | None = None, **options: Any) -> Any:
        plain = [bare(x) for x in inputs]
        if ufunc.signature is not None and ufunc.__name__ not in PRODUCTS or any(getattr(x, "dtype", None) == object for x in plain):
            raise Escaped(f"{ufunc.__name__} computes in a way that isn't known here: {ADVICE}.")
        if out is not None:
            options["out"] = tuple(bare(x) for x in out)
        result = getattr(ufunc, method)(*plain, **{name: bare(x) for name, x in options.items()})
        made = plain[0] if method == "at" else result
        self.seen(ufunc.__name__, method, plain, list(made) if isinstance(made, tuple) else [made])
        return None if method == "at" else (out if len(out) > 1 else out[0]) if out is not None else self.wrap(result)

    def __array_function__(self, function: Callable, types: Any, inputs: tuple, options: dict) -> Any:
        if function in COMPOSED:
            return super().__array_function__(function, types, inputs, options)
        if function is not np.where and function not in MOVES:
            raise Escaped(f"{function.__module__}.{function.__name__} computes where nobody sees it: {ADVICE}. "
                          "(Outside of an operation, np.asarray(x) is the plain array.)")
        plain = bare(inputs)
        result = function(*plain, **bare(options))
        if function is np.where and len(plain) == 3:
            self.seen("where", "__call__", list(plain), [result])
        elif isinstance(result, np.ndarray) and not np.may_share_memory(result, bare(self)):
            self.moved(result, result)
        return self.wrap(result)

    @classmethod
    def wrap(cls, result: Any) -> Any:
        """Arrays and NumPy's single numbers as watched ones, also inside tuples and lists; everything else as it is."""
        if isinstance(result, (tuple, list)):
            parts = [cls.wrap(each) for each in result]
            return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
        return np.ndarray.view(_asarray(result), cls) if isinstance(result, (np.ndarray, np.generic)) else result

    # --- what doesn't ask ---

    def __getitem__(self, index: Any) -> Any:
        part = np.ndarray.__getitem__(bare(self), bare(index))
        if isinstance(part, np.generic):
            return self.wrap(part) if is_float(part) else part
        if part.base is None or not np.may_share_memory(part, bare(self)):
            self.moved(part, part)
        return self.wrap(part)

    def __setitem__(self, index: Any, value: Any) -> None:
        np.ndarray.__setitem__(bare(self), bare(index), bare(value))
        self.moved(bare(value), bare(value))

    astype, copy, reshape, flatten, ravel, take, repeat = map(_copying, ("astype", "copy", "reshape", "flatten", "ravel", "take", "repeat"))
    dot, trace, round, tobytes = map(_silent, ("dot", "trace", "round", "tobytes"))

    def view(self, *arguments: Any, **options: Any) -> Any:
        result = np.ndarray.view(self, *arguments, **options)
        if not isinstance(result, Watched):
            self._leaves("x.view(np.ndarray)")
        return result

    @property
    def base(self) -> Any:
        self._leaves("x.base")
        return np.ndarray.base.__get__(self)

    @property
    def flat(self) -> Any:
        self._leaves("x.flat")
        return np.ndarray.flat.__get__(self)

    def __float__(self) -> float:
        self._leaves("float(x)")
        return np.ndarray.__float__(self)

    def item(self, *index: Any) -> Any:
        self._leaves("x.item()")
        return np.ndarray.item(self, *index)

    def tolist(self) -> Any:
        self._leaves("x.tolist()")
        return np.ndarray.tolist(self)

    def _leaves(self, what: str) -> None:
        if _inside.get() is not None and is_float(self):
            raise Escaped(f"{what} is a plain array or number, and what is computed with it isn't seen: {ADVICE}.")

    def __repr__(self) -> str:
        return repr(bare(self))

    __str__ = __repr__


def bare(x: Any) -> Any:
    """The plain array, also inside tuples, lists and dicts."""
    if isinstance(x, Watched):
        return np.ndarray.view(x, np.ndarray)
    if isinstance(x, (tuple, list)) and any(isinstance(each, (Watched, tuple, list)) for each in x):
        return type(x)(bare(each) for each in x)
    return {name: bare(each) for name, each in x.items()} if isinstance(x, dict) else x


def is_float(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fV"      # "V": bfloat16


# --- where NumPy's makers make watched arrays ------------------------------------------------------------------------------------

_inside: contextvars.ContextVar[type[Watched] | None] = contextvars.ContextVar("watching", default=None)
_lock, _depth = threading.Lock(), [0]
_asarray = np.asarray


@contextlib.contextmanager
def watching(kind: type[Watched]) -> Iterator[None]:
    """Inside, arrays made from nothing are of this kind. Other threads go on as before. erf, many steps of arithmetic here, is seen as
    the one operation that it stands for."""
    token = _inside.set(kind)
    with _lock:
        _depth[0] += 1
        if _depth[0] == 1:
            for module, name, _, replacement in _replacements():
                setattr(module, name, replacement)
    try:
        yield
    finally:
        _inside.reset(token)
        with _lock:
            _depth[0] -= 1
            if _depth[0] == 0:
                for module, name, original, _ in _replacements():
                    setattr(module, name, original)


@functools.cache
def _replacements() -> list[tuple[ModuleType, str, Callable, Callable]]:
    """(module, name, original, replacement)"""
    gelu.erf(np.zeros(1))                        # makes its coefficients, once, and unwatched
    makers = [(np, name, getattr(np, name), _making(getattr(np, name))) for name in MAKERS]
    return [*makers, (gelu, "erf", gelu.erf, _one_operation(gelu.erf))]


def _making(original: Callable) -> Callable:
    def make(*arguments: Any, **options: Any) -> Any:
        kind = _inside.get()
        if kind is None:
            return original(*arguments, **options)
        return kind.wrap(original(*bare(arguments), **bare(options)))
    return make


def _one_operation(function: Callable) -> Callable:
    def once(x: Any) -> Any:
        if not isinstance(x, Watched):
            return function(x)
        token = _inside.set(None)
        try:
            y = function(bare(x))
        finally:
            _inside.reset(token)
        x.seen(function.__name__, "__call__", [bare(x)], [y])
        return x.wrap(y)
    return once
