"""What is the same passes; nothing else does."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from minillm.grading.compare import NOTHING, difference, fair, typical, untouched
from minillm.grading.wire import Foreign

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
REAL = st.one_of(st.floats(-1e6, -1e-3), st.floats(1e-3, 1e6))
EXPECTED = hnp.arrays(np.float64, SHAPES, elements=REAL)
TOLERANCE = 1e-5


@given(EXPECTED, st.sampled_from(["float64", "longdouble"]))
def test_the_expected_array_passes_in_any_layout_and_precise_float_dtype(expected, dtype):
    assert difference(expected.astype(dtype), expected, tolerance=TOLERANCE) is None
    assert difference(np.asfortranarray(expected.astype(dtype)).reshape(expected.shape), expected, tolerance=TOLERANCE) is None


@given(EXPECTED, st.integers(0), st.floats(2, 1e9), st.sampled_from([-1, 1]))
def test_no_array_passes_with_one_number_too_far_off(expected, where, much, sign):
    """However large its other numbers are: one of them, moved by twice the tolerance of its own size and the typical one, is seen."""
    answer, place = expected.copy(), np.unravel_index(where % expected.size, expected.shape)
    answer[place] += sign * (much * TOLERANCE * (abs(expected[place]) + typical(expected)) + 2 * NOTHING)
    told = difference(answer, expected, "y", TOLERANCE)
    assert told and told.startswith("y") and "should be" in told


@given(EXPECTED, hnp.arrays(np.float64, SHAPES, elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_no_other_array_passes(expected, answer):
    assume(answer.shape != expected.shape or not np.allclose(answer, expected, rtol=10 * TOLERANCE,
                                                             atol=10 * TOLERANCE * typical(expected) + 2 * NOTHING))
    assert difference(answer, expected, tolerance=TOLERANCE)


@given(EXPECTED, st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0))
def test_a_number_that_is_not_finite_passes_only_for_the_same_infinity(expected, odd, where):
    place = np.unravel_index(where % expected.size, expected.shape)
    answer = expected.copy()
    answer[place] = odd
    assert difference(answer, expected, tolerance=1e6)
    assert difference(expected, answer, tolerance=1e6), "a finite number passed for one that isn't"
    assert (difference(answer, answer.copy(), tolerance=TOLERANCE) is None) == np.isinf(odd), "NaN = NaN"


@given(EXPECTED)
def test_whatever_broadcasts_to_the_answer_is_not_the_answer(expected):
    for answer in (expected[None], expected[..., None], expected.reshape(-1)[:0], np.float64(expected.flat[0]), float(expected.flat[0]),
                   np.array([]), [], (),
                   expected.tolist(), None, expected.reshape(-1)[None, None, None]):
        if np.shape(answer) == expected.shape and not isinstance(answer, list):
            continue
        assert difference(answer, expected, tolerance=1e9), f"{answer!r} passes for {expected!r}"


@given(EXPECTED)
def test_other_kinds_of_array_never_pass(expected):
    class Mine(np.ndarray):
        def __array_ufunc__(self, *arguments, **options):
            return np.True_

    for answer in (expected.view(Mine), np.ma.masked_array(expected), np.ma.masked_all(expected.shape), expected.astype(object),
                   expected.astype(complex),
                   expected.astype("S"), expected.astype(str), expected.astype(int), expected > 0, Foreign("a thing"), {"y": expected}, (expected,)):
        assert difference(answer, expected, tolerance=1e9), f"{type(answer)} passes"
    assert expected.ndim != 2 or difference(expected.view(np.matrix), expected)


class Agreeable:
    """Equal to everything, and an array to whoever asks."""
    shape, dtype, size = (3,), np.dtype("f8"), 3

    def __eq__(self, other):
        return True

    def __array__(self, dtype=None, copy=None):
        return np.ones(3)

    def __array_function__(self, *arguments):
        return True

    def __bool__(self):
        return True

    __hash__ = None


@pytest.mark.parametrize("expected", [np.ones(3), 1.0, 1, True, "a", b"a", None, (1.0,), [1.0, 2.0], {"a": 1}])
def test_an_object_that_is_equal_to_everything_passes_for_nothing(expected):
    assert difference(Agreeable(), expected)


# --- numbers, and what holds them -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer, expected", [
    (2.5, 2.5), (np.float64(2.5), 2.5), (np.array(2.5), 2.5), (2.5, np.float64(2.5)), (2.5, np.array(2.5)), (np.float32(2.5), 2.5), (0, 0.0),
    (3, 3.0),
    (3, 3), (np.int32(3), 3), (np.array(3), 3), (3, np.int64(3)), (np.uint8(3), 3), (True, True), (np.True_, True), (2**63, np.uint64(2**63)),
    ("a", "a"), (b"a", b"a"), (None, None), ([1, 2], [1, 2]), ((1, [2.0]), (1, [2.0])), ({"a": 1, (1, 2): 2.0}, {(1, 2): 2.0, "a": 1}), ([], []),
    ({}, {}),
    (np.zeros((0, 3)), np.zeros((0, 3))), ([1e-18, 1.0], [0.0, 1.0]), (1e-15, 0.0), ([1.0, 5e-9], [1.0, 0.0]),
])
def test_these_are_the_same(answer, expected):
    assert difference(answer, expected) is None


@pytest.mark.parametrize("answer, expected, sentence", [
    (2.6, 2.5, "the result is 2.6 and should be 2.5"),
    (True, 1, "must be a whole number; it is bool"),
    (1, True, "must be True or False; it is int"),
    (True, 1.0, "must be a float; it is bool"),
    (2.0, 2, "must be a whole number; it is float64"),
    (np.int64(2), 2.0, "must be a float; it is int64"),
    (2j, 2.0, "it is a complex"),
    (np.complex128(2), 2.0, "must be a float; it is complex128"),
    (float("nan"), 2.0, "is nan and should be 2"),
    pytest.param(10**5000, 2.0, "must be a float; it is object", id="huge for a float"),
    pytest.param(10**5000, 2, "must be a whole number; it is object", id="huge for a whole number"),
    ("2", 2.0, "must be a float; it is a text"),
    (np.ones(1), 1.0, r"must be a float; it is an array of shape \(1,\)"),
    (1.0, np.ones(1), r"must be an array of shape \(1,\); it is a float"),
    (np.ones((2, 3)), np.ones((3, 2)), r"must have the shape \(3, 2\); it has \(2, 3\)"),
    (np.array([1, 3]), np.array([1, 2]), r"\[1\] is 3 and should be 2 \(1 of 2 numbers differ\)"),
    (np.array([1, 2]), np.array([1.0, 2.0]), "must hold floats; it holds int64"),
    (np.array([1.0, 2.0]), np.array([1, 2]), "must hold whole numbers; it holds float64"),
    (np.array([True]), np.array([1]), "must hold whole numbers; it holds bool"),
    (np.array([2**63 + 1], "u8"), np.array([2**63], "u8"), "9223372036854775809 and should be 9223372036854775808"),
    (np.array([2**64 - 1], "u8"), np.array([-1]), "18446744073709551615 and should be -1"),
    (np.array([2**53 + 1]), np.array([2**53], "u8"), "9007199254740993 and should be 9007199254740992"),
    ([1, 2], (1, 2), "must be a tuple of 2; it is a list of 2"),
    ((1, 2, 3), (1, 2), "must be a tuple of 2; it is a tuple of 3"),
    ([1, [2, 4]], [1, [2, 3]], r"the result\[1\]\[1\] is 4 and should be 3"),
    ([1e-6, 1.0], [0.0, 1e-3], r"the result\[0\] is 1e-06"),
    ({"a": 1}, {"a": 1, "b": 2}, "lacks the key 'b'"),
    ({"a": 1, "b": 2}, {"a": 1}, "must not have the key 'b'"),
    ({"a": 2}, {"a": 1}, r"the result\['a'\] is 2 and should be 1"),
    ([("a", 1)], {"a": 1}, "must be a dict; it is a list of 1"),
    ("b", "a", "must be 'a'; it is 'b'"),
    ("a", b"a", "must be b'a'; it is 'a'"),
    pytest.param("x" * 10**6, "a", r"must be 'a'; it is 'x+'… \(1000000 long\)", id="a long text"),
    (0, None, "must be None; it is 0"),
    pytest.param(1 << 10**5, None, "must be None; it is a whole number", id="huge for None"),
    (Foreign("a generator"), np.ones(2), "it is a generator"),
])
def test_a_sentence_says_what_differs(answer, expected, sentence):
    told = difference(answer, expected)
    assert told and re.search(sentence, told), told


def test_what_is_said_has_the_digits_that_it_takes():
    assert difference(1.00000012, 1.0, tolerance=1e-9) == "the result is 1.00000012 and should be 1."
    assert difference(np.float64(1) + 2e-13, 1.0, tolerance=1e-14) is None, "float64 rounds, too"
    assert "1.00000000001" in difference(1 + 1e-11, 1.0, tolerance=1e-14)


def test_a_large_number_does_not_excuse_a_small_one():
    expected = np.array([1e6, 1, 2, 3, 4])
    assert difference(expected + [0, 0.01, 0, 0, 0], expected, tolerance=1e-4)
    assert difference(expected + [50, 0, 0, 0, 0], expected, tolerance=1e-4) is None


def test_zeros_do_not_shrink_the_scale():
    expected = np.array([0.0] * 9 + [1.0])
    assert difference(expected + 1e-6, expected, tolerance=1e-5) is None
    assert difference(expected + 1e-4, expected, tolerance=1e-5)


def test_the_answer_is_not_changed_and_not_kept():
    answer = np.ones((2, 2))
    answer.flags.writeable = False
    assert difference(answer, np.ones((2, 2))) is None


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-1e3, 1e3)))
def test_float32_inside_is_fair(x):
    """The sum over everything, in float32 and in any order, is within the tolerance of what was asked."""
    for order in (x.reshape(-1), x.reshape(-1)[::-1]):
        total = np.cumsum(order.astype(np.float32))[-1]
        assert abs(total - order.sum()) <= fair([x]) * np.abs(x).sum() + 1e-30


def test_the_tolerance_comes_from_dtype_and_size():
    small, large = np.ones(10), np.ones(10_000)
    assert 1e-6 < fair([small]) < fair([large]) <= 2e-3
    assert fair([np.ones(10, np.float32)]) < fair([np.ones(10, np.float16)]) < 1e-2
    assert fair([small, "a text", 3, np.ones(10, int)]) == fair([small])
    assert fair([]) == pytest.approx(fair([small]))
    assert fair([np.ones(10**8, bool)]) <= 1.1e-3


# --- what was given ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("given_, same, other", [
    (np.array([1.0, np.nan]), np.array([1.0, np.nan]), np.array([1.0, 0.0])),
    (np.array([1.0]), np.array([1.0]), np.array([1.0 + 2e-16])),
    (np.array([1, 2]), np.array([1, 2]), np.array([1.0, 2.0])),
    (np.ones((2, 1)), np.ones((2, 1)), np.ones((1, 2))),
    ([np.ones(2), 3], [np.ones(2), 3], [np.zeros(2), 3]),
    ([1, 2], [1, 2], [1, 2, 3]),
    ({"a": [1]}, {"a": [1]}, {"a": [2]}),
    ("a", "a", "b"), (0.1, 0.1, 0.1 + 1e-9), (None, None, 0),
])
def test_what_was_given_must_come_back_to_the_bit(given_, same, other):
    assert untouched(same, given_)
    assert not untouched(other, given_)
