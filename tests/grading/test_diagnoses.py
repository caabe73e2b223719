"""What the numbers alone say: each diagnosis where it is true, and silence elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.exercises.exercise import backward, call
from minillm.grading.caller import Answer
from minillm.grading.checking import Prepared, judge
from minillm.grading.diagnoses import OF_ARRAYS, WHOLE, Fault, diagnose

rng = np.random.default_rng(0)
MATRIX, ROW, BLOCK = rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(3, 4, 2))


def fault(answer, expected, **values):
    values = values or {"x": np.ones((4, 5))}
    return Fault(call("f", **values), {"result": expected}, {"result": answer, **values})


def with_nan(x):
    x = x.copy()
    x[1, 2] = np.nan
    return x


def first_alone(x, other):
    return np.concatenate([x[:1], other[1:]])


EXAMPLES = [
    ("NaN or infinity", with_nan(MATRIX), MATRIX),
    ("all zeros", MATRIX * 0, MATRIX),
    ("cut to whole numbers", np.trunc(MATRIX * 3), MATRIX * 3),
    ("cut to whole numbers", np.rint(MATRIX * 3), MATRIX * 3),
    ("opposite sign", -MATRIX, MATRIX),
    ("transposed", MATRIX.T, MATRIX),
    ("transposed", MATRIX[:, :4].T, MATRIX[:, :4]),
    ("axes in another order", BLOCK.transpose(0, 2, 1), BLOCK),
    ("not summed over the rows", MATRIX, MATRIX.sum(0)),
    ("not summed over the rows", BLOCK, BLOCK.sum((0, 1))),
    ("not summed over what is shared", BLOCK, BLOCK.reshape(3, 2, 2, 2).sum(2)),
    ("an axis of length 1 too many or too few", ROW[:, None], ROW),
    ("an axis of length 1 too many or too few", ROW, ROW[None]),
    ("broadcast to a table", np.outer(ROW, np.ones(5)), ROW),
    ("shifted by one", np.vstack([MATRIX[1:], ROW]), MATRIX),
    ("shifted by one", np.column_stack([np.ones(4), MATRIX[:, :-1]]), MATRIX),
    ("right numbers in the wrong places", BLOCK.reshape(2, 4, 3).transpose(2, 1, 0), BLOCK),
    ("part of it left at zero", np.tri(4, 5, 2) * MATRIX, MATRIX),
    ("only the first of the batch is right", first_alone(BLOCK, BLOCK ** 2), BLOCK),
    ("nearly right", MATRIX * 1.0 + rng.normal(size=(4, 5)) * 5e-4, MATRIX),
    ("gradients in another order", (ROW, MATRIX), (MATRIX, ROW)),
    ("not a tuple", MATRIX, (MATRIX,)),
    ("a constant factor", MATRIX * 2, MATRIX),
    ("a constant factor", (MATRIX, ROW / 3), (MATRIX, ROW)),
]


@pytest.mark.parametrize("name, answer, expected", EXAMPLES, ids=lambda value: value if isinstance(value, str) else "")
def test_what_can_be_seen_is_named(name, answer, expected):
    found = diagnose([fault(answer, expected)])
    assert found is not None and found.name == name, found


def test_an_input_that_was_changed_is_named():
    x = np.ones((4, 5))
    case = call("f", x=x)
    assert diagnose([Fault(case, {"result": MATRIX}, {"result": MATRIX, "x": x * 2})]).name == "an input changed in place"
    assert diagnose([Fault(case, {"result": MATRIX}, {"result": MATRIX ** 2, "x": x * 2})]) is None, "it may not be what is wrong"


def test_an_input_that_comes_back_is_named():
    x = rng.normal(size=(4, 5))
    assert diagnose([fault(x, MATRIX, x=x)]).name == "an input handed back"


def test_a_backward_that_is_wrong_the_second_time_is_named():
    case = backward(MATRIX, x=MATRIX, times=2)
    right, wrong = (MATRIX,), (MATRIX ** 2,)
    values = {"x": MATRIX, "dy": MATRIX}
    expected = {"gradients": right, "gradients2": right}
    assert diagnose([Fault(case, expected, values | {"gradients": right, "gradients2": wrong})]).name == "the cache spoiled by backward"
    assert diagnose([Fault(case, expected, values | {"gradients": wrong, "gradients2": wrong})]) is None


def test_every_diagnosis_has_an_example():
    here = {name for name, *_ in EXAMPLES} | {"an input changed in place", "an input handed back", "the cache spoiled by backward"}
    assert {name for name, *_ in WHOLE + OF_ARRAYS} | {"a constant factor"} == here


def test_a_factor_is_told_in_terms_of_the_sizes():
    """√e in each of two cases, with another e each."""
    cases = [fault(MATRIX * np.sqrt(n), MATRIX, q=np.ones((7, n))) for n in (3, 5)]
    assert "the root of the size of q's last axis" in diagnose(cases).advice
    unsteady = [fault(MATRIX * factor, MATRIX, q=np.ones((7, 11))) for factor in (1.234, 4.321)]
    assert "another in others" in diagnose(unsteady).advice


def test_a_diagnosis_must_explain_every_wrong_case():
    assert diagnose([fault(-MATRIX, MATRIX), fault(MATRIX ** 2, MATRIX)]) is None
    assert diagnose([fault((-MATRIX, ROW ** 2), (MATRIX, ROW))]) is None


def test_single_numbers_have_no_factor():
    assert diagnose([fault(np.float64(3.0), np.float64(2.1)), fault(np.float64(1.0), np.float64(2.9)),
                     fault(np.float64(1.7), np.float64(2.9))]) is None


def test_another_form_is_left_to_the_message():
    assert diagnose([fault({"a": MATRIX}, MATRIX)]) is None
    assert diagnose([fault(None, MATRIX)]) is None
    assert diagnose([fault((MATRIX,), (MATRIX, ROW))]) is None
    assert diagnose([fault({"a": MATRIX}, {"b": MATRIX})]) is None


@given(st.integers(0, 2**32), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_numbers_that_have_nothing_to_do_with_it_get_no_name(seed, shape):
    """Sizes up to 1 included, where much could fit by chance."""
    draw = np.random.default_rng(seed)
    expected, answer = draw.normal(size=shape), draw.normal(size=shape)
    found = diagnose([fault(answer, expected, x=draw.normal(size=shape))] * 2)
    assert found is None or expected.size < 3 and found.name == "a constant factor", found
    if found is not None:
        assert diagnose([fault(answer, expected), fault(draw.normal(size=shape), expected)]) is None


@given(st.integers(0, 2**32), st.sampled_from([(5,), (4, 5), (2, 3, 4)]))
def test_a_smooth_change_is_not_called_a_factor_or_a_sign(seed, shape):
    draw = np.random.default_rng(seed)
    expected = draw.normal(size=shape)
    assert diagnose([fault(expected * draw.uniform(1.1, 3, shape), expected)]) is None


def test_where_nothing_fits_the_check_says_what_a_failure_of_it_means():
    case = call("f", x=MATRIX)
    prepared, answers = [Prepared(case, {"result": MATRIX})], [Answer({"result": MATRIX ** 2, "x": MATRIX})]
    verdict = judge("large", prepared, answers, "exercise", {}, says="Digits are lost.")
    assert (verdict.diagnosis, verdict.advice) == (None, "Digits are lost.")
    verdict = judge("large", prepared, [Answer({"result": -MATRIX, "x": MATRIX})], "exercise", {}, says="Digits are lost.")
    assert verdict.diagnosis == "opposite sign" and "sign" in verdict.advice


def test_an_exercise_s_own_mistake_goes_before_what_can_be_seen():
    case = call("f", x=MATRIX)
    prepared = [Prepared(case, {"result": MATRIX}, {"minus forgotten": {"result": -MATRIX}})]
    verdict = judge("check", prepared, [Answer({"result": -MATRIX, "x": MATRIX})], "exercise", {"minus forgotten": "Where is the minus?"})
    assert (verdict.diagnosis, verdict.advice) == ("minus forgotten", "Where is the minus?")


SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
KINDS = st.sampled_from(["float64", "float32", "int64", "bool", "complex128", "U3"])


@given(SHAPES, SHAPES, KINDS, st.sampled_from(["float64", "int64"]), st.integers(0, 9))
def test_no_answer_makes_it_stumble(shape, expected_shape, kind, expected_kind, seed):
    draw = np.random.default_rng(seed)
    answer, expected = draw.normal(2, 3, shape), draw.normal(2, 3, expected_shape).astype(expected_kind)
    diagnose([fault(np.asarray(answer).astype(kind), expected), fault((np.asarray(answer).astype(kind),), (expected,))])
