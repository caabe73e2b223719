"""Is it the same? Our own comparison, because np.allclose([], 3.7) is True, and so is much else that it shouldn't be.

Type, shape and kind of number must be exactly those asked for: nothing is broadcast, flattened, converted or rounded first. Then

    |answer − expected|  ≤  tolerance · (|expected| + scale)

for every number that should be finite, and equality for ±∞, whole numbers and booleans. The scale is what the array's numbers are like:
the smaller of their root mean square and 16 times their median, zeros left out, so that one large number excuses no other.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .wire import Foreign, a

TOLERANCE = 1e-4                                                  # where nothing is known of what was asked
NOTHING = 1e-12                                                   # a number that should be 0 may be this far from it: float64 rounds, too
KINDS = {"f": "floats", "i": "whole numbers", "u": "whole numbers", "b": "booleans"}
A_NUMBER = {"f": "a float", "i": "a whole number", "u": "a whole number", "b": "True or False"}


def fair(asked: Iterable[Any]) -> float:
    """The tolerance for what was asked with these values: room for sums over them in float32, in any order (the error of n roundings
    grows like √n), and for an answer rounded to the dtype that they have."""
    arrays = [each for each in asked if isinstance(each, np.ndarray)]
    coarsest = max((np.finfo(each.dtype).eps for each in arrays if each.dtype.kind == "f"), default=0.0)
    largest = max((each.size for each in arrays), default=1)
    return 4 * float(coarsest) + min(32 * float(np.finfo(np.float32).eps) * math.sqrt(max(largest, 16)), 1e-3)


def difference(answer: Any, expected: Any, name: str = "the result", tolerance: float | None = None, scale: float | None = None) -> str | None:
    """None if they are the same, else a sentence that says where they first differ. `scale`: of the numbers that this one stands among."""
    if isinstance(expected, tuple | list):
        if type(answer) is not type(expected) or len(answer) != len(expected):
            return f"{name} must be {kind(expected)}; it is {kind(answer)}."
        numbers = [each for each in expected if isinstance(each, float | np.floating)]
        shared = typical(np.array(numbers, np.float64)) if numbers else None
        parts = (difference(has, wants, f"{name}[{i}]", tolerance, shared) for i, (has, wants) in enumerate(zip(answer, expected, strict=True)))
        return next((part for part in parts if part), None)
    if isinstance(expected, dict):
        return different_tables(answer, expected, name, tolerance)
    if expected is None or isinstance(expected, str | bytes):
        return None if type(answer) is type(expected) and answer == expected else f"{name} must be {short(expected)}; it is {short(answer)}."
    return different_arrays(answer, np.asarray(expected), name, TOLERANCE if tolerance is None else tolerance, scale)


def untouched(answer: Any, given: Any) -> bool:
    """Is what was given still the same, to the bit?"""
    if type(given) is np.ndarray and type(answer) is np.ndarray:
        return given.dtype == answer.dtype and given.shape == answer.shape and given.tobytes() == answer.tobytes()
    if isinstance(given, tuple | list) and type(given) is type(answer):
        return len(given) == len(answer) and all(untouched(a, b) for a, b in zip(answer, given, strict=True))
    return difference(answer, given, tolerance=0.0) is None


def different_tables(answer: Any, expected: dict, name: str, tolerance: float | None) -> str | None:
    if type(answer) is not dict:
        return f"{name} must be a dict; it is {kind(answer)}."
    for some, others, told in ((expected, answer, "lacks"), (answer, expected, "must not have")):
        if keys := [key for key in some if key not in others]:
            return f"{name} {told} the key {short(keys[0])}."
    parts = (difference(answer[key], value, f"{name}[{short(key)}]", tolerance) for key, value in expected.items())
    return next((part for part in parts if part), None)


def different_arrays(answer: Any, expected: np.ndarray, name: str, tolerance: float, scale: float | None) -> str | None:
    wanted, found = KINDS.get(expected.dtype.kind), plain(answer)
    if wanted is None:
        return f"{name} should be {expected.dtype}, which nothing can equal."
    if found is None or found.shape != expected.shape:
        if expected.shape and found is not None and found.shape:
            return f"{name} must have the shape {expected.shape}; it has {found.shape}."
        return f"{name} must be {kind(expected) if expected.shape else A_NUMBER[expected.dtype.kind]}; it is {kind(answer)}."
    if expected.dtype.kind == "f" and type(answer) is int and found.dtype.kind in "iu":       # 0 is a fine float
        found = found.astype(np.float64)
    if KINDS.get(found.dtype.kind) != wanted:
        return f"{name} must hold {wanted}; it holds {found.dtype}." if expected.shape else f"{name} must be {A_NUMBER[expected.dtype.kind]}; it is {found.dtype}."
    wrong = far(found, expected, tolerance, scale) if expected.dtype.kind == "f" else unequal(found, expected)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    counted = f" ({int(wrong.sum())} of {wrong.size} numbers differ)" if wrong.size > 1 else ""
    has, should = two_numbers(found[place], expected[place])
    return f"{name}{list(place) if place else ''} is {has} and should be {should}{counted}."


def plain(answer: Any) -> np.ndarray | None:
    """A copy, as an array and nothing more, of an array or a number; None for all else, subclasses too."""
    if type(answer) is np.ndarray or type(answer) in (bool, int, float) or isinstance(answer, np.generic) and type(answer) is answer.dtype.type:
        return np.array(answer, copy=True, subok=False)
    return None


def far(answer: np.ndarray, expected: np.ndarray, tolerance: float, scale: float | None) -> np.ndarray:
    """Where floats differ by more than they may. NaN is far from everything."""
    with np.errstate(all="ignore"):
        found, right = answer.astype(np.float64), expected.astype(np.float64)
        scale = typical(right) if scale is None else scale
        return np.where(np.isfinite(right), ~(np.abs(found - right) <= tolerance * (np.abs(right) + scale) + NOTHING), found != right)


def typical(numbers: np.ndarray) -> float:
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    return min(float(np.sqrt(np.mean(sizes ** 2))), 16 * float(np.median(sizes))) if sizes.size else 0.0


def unequal(answer: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Exactly, also between signed and unsigned numbers of 64 bits, which NumPy may compare as floats."""
    if answer.dtype.kind != expected.dtype.kind:
        answer, expected = answer.astype(object), expected.astype(object)
    return np.asarray(answer != expected, bool)


# --- words --------------------------------------------------------------------------------------------------------------------

def two_numbers(has: Any, wants: Any) -> tuple[str, str]:
    """With as many digits as it takes to tell them apart."""
    if not isinstance(wants, np.floating):
        return str(has), str(wants)
    written = ((f"{has:.{digits}g}", f"{wants:.{digits}g}") for digits in (6, 9, 12, 17))
    return next((pair for pair in written if pair[0] != pair[1]), (repr(has), repr(wants)))


def kind(value: Any) -> str:
    """What a value is, as one says it."""
    if isinstance(value, Foreign):
        return value.what
    if type(value) in (tuple, list):
        return f"a {type(value).__name__} of {len(value)}"
    if type(value) is np.ndarray:
        return f"an array of shape {value.shape}"
    names = {type(None): "None", bool: "a boolean", int: "a whole number", float: "a float", str: "a text", bytes: "bytes", dict: "a dict"}
    return names.get(type(value), a(type(value).__name__))


def short(value: Any) -> str:
    """A text or a number as it is written, others by what they are."""
    if type(value) is tuple and len(value) <= 4:
        return f"({', '.join(short(each) if type(each) is not tuple else kind(each) for each in value)})"
    if type(value) in (str, bytes):
        return repr(value) if len(value) <= 60 else f"{value[:50]!r}… ({len(value)} long)"
    return repr(value) if value is None or type(value) in (bool, float) or type(value) is int and value.bit_length() < 200 else kind(value)
