"""Is it the same? Our own comparison, because np.allclose([], 3.7) is True, and so is much else that it shouldn't be.

A number passes when |answer − expected| ≤ tolerance · (|expected| + rms(expected)); the tolerance leaves room for float32 inside.
"""

from typing import Any

import numpy as np

TOLERANCE = 1e-4


def difference(answer: Any, expected: Any, name: str = "the result", tolerance: float | None = None) -> str | None:
    """None if they are the same, else a sentence that says where they first differ."""
    if isinstance(expected, dict):
        if not isinstance(answer, dict) or answer.keys() != expected.keys():
            has = f"has {', '.join(map(repr, answer))}" if isinstance(answer, dict) else f"is a {type(answer).__name__}"
            return f"{name} must be a dict with {', '.join(map(repr, expected))}; it {has}."
        return next((part for key in expected if (part := difference(answer[key], expected[key], f"{name}[{key!r}]", tolerance))), None)
    if isinstance(expected, tuple | list):
        if type(answer) is not type(expected) or len(answer) != len(expected):
            has = f"a {type(answer).__name__}" + (f" of {len(answer)}" if isinstance(answer, tuple | list) else "")
            return f"{name} must be a {type(expected).__name__} of {len(expected)}; it is {has}."
        parts = (difference(a, e, f"{name}[{i}]", tolerance) for i, (a, e) in enumerate(zip(answer, expected, strict=True)))
        return next((part for part in parts if part), None)
    if expected is None or isinstance(expected, str | bytes | bool):
        return None if type(answer) is type(expected) and answer == expected else f"{name} must be {expected!r}; it is {answer!r}."
    return different_arrays(answer, np.asarray(expected), name, TOLERANCE if tolerance is None else tolerance)


def different_arrays(answer: Any, expected: np.ndarray, name: str, tolerance: float) -> str | None:
    if answer is None or isinstance(answer, str | bytes | tuple | list | dict):
        wanted = f"an array of shape {expected.shape}" if expected.shape else "a number"
        return f"{name} must be {wanted}; it is a {type(answer).__name__}."
    if type(answer) is int and expected.dtype.kind == "f":
        answer = float(answer)                                    # `return 0` is as good as `return 0.0`
    answer = np.array(answer, copy=True, subok=False)
    if answer.shape != expected.shape:
        return f"{name} must have the shape {expected.shape}; it has {answer.shape}."
    kinds = {"f": "floats", "i": "whole numbers", "u": "whole numbers", "b": "booleans"}
    if kinds.get(answer.dtype.kind) != kinds[expected.dtype.kind]:
        return f"{name} must hold {kinds[expected.dtype.kind]}; it holds {answer.dtype}."
    if expected.dtype.kind != "f":
        wrong = answer != expected
    else:
        a, e = answer.astype(np.float64), expected.astype(np.float64)
        finite = np.isfinite(e)
        scale = np.sqrt(np.mean(e[finite] ** 2)) if finite.any() else 0.0
        with np.errstate(invalid="ignore"):
            wrong = np.where(finite, ~(np.abs(a - e) <= tolerance * (np.abs(e) + scale)), a != e)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    at = f"{name}{list(place)}" if place else name
    return f"{at} is {answer[place]:.6g} and should be {expected[place]:.6g} ({int(wrong.sum())} of {wrong.size} numbers differ)."
