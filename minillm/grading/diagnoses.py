"""What may be wrong with an answer, from the numbers alone: no exercise is known here, and no reference is called.

An exercise's own mistakes are tried first (checking.py); these are for what its author didn't think of. Each diagnosis is a question about
one wrong array and the right one, such as "is it its transpose?". It is given only if it explains every wrong array of every wrong case; and
most say no more than what can be seen ("every number is twice what it should be"), so that they are true whatever the cause. Where none
fits, the grader says that it can't tell: a wrong name costs a student more time than none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod, sqrt
from typing import Any

import numpy as np

from ..exercises.exercise import Case
from .compare import difference

EXACT = 1e-6        # how well a factor must fit; what is merely similar has no simple factor


@dataclass(frozen=True)
class Fault:
    """A case that went wrong: what was asked, what should have come, what came."""
    case: Case
    expected: Mapping[str, Any]
    answered: Mapping[str, Any]
    tolerance: float | None = None

    def same(self, answer: Any, expected: Any) -> bool:
        return difference(answer, expected, tolerance=self.tolerance) is None

    def wrong(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(answer, expected) for each array that is wrong."""
        pairs = [pair for name in self.expected for pair in leaves(self.answered.get(name), self.expected[name])]
        return [(answer, expected) for answer, expected in pairs if not self.same(answer, expected)]


class Shapeless(Exception):
    """The answer has another form than what was expected: there are no pairs of arrays of numbers to compare."""


def leaves(answer: Any, expected: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The arrays and numbers of an answer, beside those expected."""
    if isinstance(expected, dict | tuple | list):
        if type(answer) is not type(expected) or len(answer) != len(expected) or isinstance(expected, dict) and answer.keys() != expected.keys():
            raise Shapeless
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            yield from leaves(answer[key], expected[key])
    elif expected is not None and not isinstance(expected, str | bytes | bool):
        if answer is None or isinstance(answer, str | bytes | bool | dict | tuple | list):
            raise Shapeless
        answer, expected = np.asarray(answer), np.asarray(expected)
        if answer.dtype.kind not in "fiub" or not answer.size or not expected.size:
            raise Shapeless
        yield answer, expected


@dataclass(frozen=True)
class Diagnosis:
    name: str
    advice: str


def diagnose(faults: Sequence[Fault]) -> Diagnosis | None:
    """The first that explains them all, or None."""
    for name, advice, explains in WHOLE:
        if all(explains(fault) for fault in faults):
            return Diagnosis(name, advice)
    try:
        wrong = [(fault, answer, expected) for fault in faults for answer, expected in fault.wrong()]
        if any(not fault.wrong() for fault in faults):
            return None
    except Shapeless:
        return None
    with np.errstate(all="ignore"):
        if factor := constant_factor(wrong):
            return factor
        return next((Diagnosis(name, advice) for name, advice, explains in OF_ARRAYS if all(explains(*each) for each in wrong)), None)


# --- of whole answers ------------------------------------------------------------------------------------------------------------

def changed_in_place(fault: Fault) -> bool:
    """All is right but an input."""
    right = all(fault.same(fault.answered.get(name), expected) for name, expected in fault.expected.items())
    inputs = {name: value for name, value in fault.case.values.items() if isinstance(value, np.ndarray | list) and name not in fault.case.may_change}
    return right and any(difference(fault.answered.get(name), value, tolerance=0.0) is not None for name, value in inputs.items())


def other_order(fault: Fault) -> bool:
    """The parts of a tuple in another order."""
    found = False
    for name, expected in fault.expected.items():
        answer = fault.answered.get(name)
        if fault.same(answer, expected):
            continue
        if not isinstance(expected, tuple) or not isinstance(answer, tuple) or len(answer) != len(expected) or len(expected) > 4:
            return False
        if not any(fault.same(tuple(answer[i] for i in order), expected) for order in permutations(range(len(expected)))):
            return False
        found = True
    return found


def no_tuple(fault: Fault) -> bool:
    """One array, where a tuple of one is expected."""
    return all(isinstance(expected, tuple) and len(expected) == 1 and fault.same(fault.answered.get(name), expected[0])
               for name, expected in fault.expected.items())


def spoiled_cache(fault: Fault) -> bool:
    """The same call was made twice: the first time all was right, the second time it wasn't. Or both gave twice what is right: one array,
    to which the second call has added."""
    for i, later in enumerate(fault.case.steps):
        for earlier in fault.case.steps[:i]:
            if (earlier.function, earlier.arguments, earlier.options) == (later.function, later.arguments, later.options):
                first, second = (all(fault.same(fault.answered.get(name), fault.expected[name]) for name in step.results if name in fault.expected)
                                 for step in (earlier, later))
                return first and not second or added_up(fault)
    return False


def added_up(fault: Fault) -> bool:
    try:
        wrong = fault.wrong()
    except Shapeless:
        return False
    return bool(wrong) and all(a.shape == e.shape and floats(a) and fault.same(a, 2 * e) for a, e in wrong)


WHOLE: list[tuple[str, str, Callable[[Fault], bool]]] = [
    ("an input changed in place",
     "The result is right, but an array that you were given was changed: x *= …, x -= … and x[…] = … write into the caller's "
     "array. Write x = x * …, which makes a new one.", changed_in_place),
    ("the cache spoiled by backward",
     "The first call of backward is right, the second isn't: what does it change in the cache, or in an array that the "
     "cache shares?", spoiled_cache),
    ("gradients in another order", "The right arrays came back, but not in the order of forward's arguments.", other_order),
    ("not a tuple", "The right array came back alone: return (dx,), a tuple of one.", no_tuple),
]


# --- of arrays: does this explain how `a` came from `e`? -------------------------------------------------------------------------------

def floats(x: np.ndarray) -> bool:
    return x.dtype.kind == "f"


def not_finite(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """What is finite is right."""
    if a.shape != e.shape or not floats(a) or np.isfinite(a).all() or not np.isfinite(e).all():
        return False
    return fault.same(np.where(np.isfinite(a), a, e), e)


def zeros(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    return a.shape == e.shape and not a.any()


def whole_numbers(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    if a.shape != e.shape or not floats(e) or a.dtype.kind not in "fi" or not np.isfinite(a).all() or (a != np.rint(a)).any():
        return False
    return any(np.array_equal(a, cut(e)) for cut in (np.trunc, np.floor, np.rint))


def opposite_sign(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    return a.shape == e.shape and a.dtype.kind in "fi" and bool(a.any()) and fault.same(-a, e)


def transposed(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    return e.ndim == 2 and min(e.shape) > 1 and fault.same(a.T, e)


def axes_in_another_order(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    return 2 < e.ndim <= 4 and a.ndim == e.ndim and any(fault.same(a.transpose(order), e) for order in permutations(range(e.ndim)))


def wrong_places(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """The same numbers, all of them different, arranged otherwise."""
    if a.size != e.size or a.size < 6 or len(np.unique(e)) < e.size or a.dtype.kind not in "fi":
        return False
    return fault.same(np.sort(a, axis=None), np.sort(e, axis=None))


def shifted_by_one(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """Along one axis of at least 3, each row stands where its neighbour belongs."""
    if a.shape != e.shape:
        return False
    for axis in (axis for axis in range(e.ndim) if e.shape[axis] > 2):
        a_, e_ = np.moveaxis(a, axis, 0), np.moveaxis(e, axis, 0)
        if len(np.unique(e_)) > e.size // 2 and (fault.same(a_[1:], e_[:-1]) or fault.same(a_[:-1], e_[1:])):
            return True
    return False


def not_summed(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """Leading axes are still there; their sum is right."""
    return a.ndim > e.ndim and a.shape[a.ndim - e.ndim:] == e.shape and a.size > e.size and fault.same(a.reshape(-1, *e.shape).sum(0), e)


def not_summed_over_groups(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """One axis is g times too long; the sum of g neighbours is right."""
    if a.ndim != e.ndim:
        return False
    longer = [axis for axis in range(e.ndim) if a.shape[axis] != e.shape[axis]]
    if len(longer) != 1 or not e.shape[longer[0]] or a.shape[longer[0]] % e.shape[longer[0]]:
        return False
    [axis] = longer
    return fault.same(a.reshape(*e.shape[:axis + 1], -1, *e.shape[axis + 1:]).sum(axis + 1), e)


def axis_of_one(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    longer = [[n for n in x.shape if n > 1] for x in (a, e)]
    return a.shape != e.shape and longer[0] == longer[1] and fault.same(a.reshape(e.shape), e)


def outer(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """(n,) met (n, 1) and became (n, n): the right numbers are on the diagonal."""
    return e.ndim == 1 and len(e) > 1 and a.shape == 2 * e.shape and fault.same(np.diagonal(a).copy(), e)


def an_input(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    return a.size > 1 and any(isinstance(value, np.ndarray) and np.array_equal(value, a) for value in fault.case.values.values())


def partly_zero(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """Zeros where something should stand; all else is right, and it is not little."""
    if a.shape != e.shape or not a.any() or a.dtype.kind not in "fi":
        return False
    missing = (a == 0) & (e != 0)
    return bool(missing.sum() >= 2) and fault.same(np.where(missing, e, a), e)


def first_of_batch(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    """Of three axes or more, the first is a batch's: its first row is right, and no other."""
    return a.shape == e.shape and e.ndim > 2 and len(e) > 1 and fault.same(a[0], e[0]) and not any(fault.same(a[i], e[i]) for i in range(1, len(e)))


def nearly(fault: Fault, a: np.ndarray, e: np.ndarray) -> bool:
    if a.shape != e.shape or not floats(a) or not floats(e) or a.size < 3 or not np.isfinite(e).all():
        return False
    return bool(np.abs(a - e).max() <= 0.003 * sqrt(np.mean(np.square(e))))


OF_ARRAYS: list[tuple[str, str, Callable[[Fault, np.ndarray, np.ndarray], bool]]] = [
    ("NaN or infinity", "Where the result is finite it is right; elsewhere NaN or infinity came out. Where does an exponential overflow, "
     "is 0 divided by 0, or −∞ subtracted from itself?", not_finite),
    ("all zeros", "Nothing but zeros came back. Is the result ever written, or is it a whole-number division?", zeros),
    ("cut to whole numbers", "The digits after the point are cut off. Was an array of whole numbers filled, or // taken for /?", whole_numbers),
    ("opposite sign", "Every number is right but for its sign.", opposite_sign),
    ("transposed", "It is the transpose of what it should be.", transposed),
    ("axes in another order", "The right numbers are there, with the axes in another order.", axes_in_another_order),
    ("not summed over the rows",
     "The right result is the sum of this one over its leading axes: every row has used the same numbers, so their gradients add.", not_summed),
    ("not summed over what is shared",
     "One axis is too long, and the sum over its neighbours is right: what several have read gets the sum of their gradients.",
     not_summed_over_groups),
    ("an axis of length 1 too many or too few", "The numbers are right, the shape isn't: look at keepdims, and at x[:, None].", axis_of_one),
    ("broadcast to a table", "The right numbers stand on the diagonal of a square: (n,) has met (n, 1), and NumPy has made (n, n) of them.", outer),
    ("an input handed back", "An array that you were given came back as it was.", an_input),
    ("shifted by one", "Each row stands where its neighbour belongs.", shifted_by_one),
    ("right numbers in the wrong places", "All the right numbers are there, arranged otherwise. A reshape where axes must be swapped does that.",
     wrong_places),
    ("part of it left at zero", "What isn't zero is right; the rest was never written.", partly_zero),
    ("only the first of the batch is right", "The first row of the batch is right, and no other: is an index 0 where a whole axis belongs?",
     first_of_batch),
    ("nearly right", "It differs by less than 0.3 %. Something small is different: an ε, a constant, or a number kept with too few digits.",
     nearly),
]


# --- a factor ----------------------------------------------------------------------------------------------------------------------------

def constant_factor(wrong: Sequence[tuple[Fault, np.ndarray, np.ndarray]]) -> Diagnosis | None:
    """Every wrong array is a number times the right one. Which number may depend on the sizes: then it is told in their terms."""
    factors = [factor_of(a, e) for _, a, e in wrong]
    if None in factors or not factors or sum(e.size for _, _, e in wrong) < 3:
        return None
    symbols = [set(known_factors(fault.case)) for fault, _, _ in wrong]
    meanings = [name for name in known_factors(wrong[0][0].case)
                if all(name in known for known in symbols) and
                all(abs(known_factors(fault.case)[name] / factor - 1) < EXACT for (fault, _, _), factor in zip(wrong, factors, strict=True))]
    steady = max(factors) - min(factors) <= EXACT * abs(factors[0])
    if not meanings and not steady and any(e.size < 3 for _, _, e in wrong):
        return None                              # single numbers always have a factor
    told = f"{factors[0]:.6g}" + (f", which is {meanings[0]}" if meanings else "" if steady else " in this case, and another in others")
    return Diagnosis("a constant factor", f"Every number of the wrong array is {told} times what it should be.")


def factor_of(a: np.ndarray, e: np.ndarray) -> float | None:
    """c with a = c · e everywhere; None for 0, 1 and −1, which have names of their own."""
    if a.shape != e.shape or not floats(a) or not floats(e) or not e.any() or not np.isfinite(a).all() or not np.isfinite(e).all():
        return None
    a, e = a.astype(np.float64), e.astype(np.float64)
    c = float((a * e).sum() / (e * e).sum())
    fits = np.abs(a - c * e).max() <= EXACT * max(abs(c), 1e-300) * np.abs(e).max()
    return c if fits and c and abs(abs(c) - 1) > 1e-3 else None


def known_factors(case: Case) -> dict[str, float]:
    """Factors that have a name: 2, ½, and for each size of each array n, 1/n, √n, 1/√n."""
    known = {"2": 2.0, "1/2": 0.5, "−2": -2.0, "ln 2": float(np.log(2)), "1/ln 2": float(1 / np.log(2))}
    arrays = {name: value for name, value in case.values.items() if isinstance(value, np.ndarray)}
    for name, value in arrays.items():
        sizes = {f"the size of {name}'s last axis": value.shape[-1] if value.ndim else 1, f"the number of {name}'s rows": prod(value.shape[:-1]),
                 **{f"the size of {name}'s axis {axis}": n for axis, n in enumerate(value.shape[:-1])},
                 f"the number of {name}'s entries": value.size}
        for words, n in sizes.items():
            if n > 1:
                known |= {words: float(n), f"1 over {words}": 1 / n, f"the root of {words}": sqrt(n), f"1 over the root of {words}": 1 / sqrt(n)}
    return known
