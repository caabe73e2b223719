"""Checks without a reference: what is recorded is what is judged, and a gradient must be the slope of the student's own forward."""

import numpy as np
import pytest
from minillm import exercises
from minillm.exercises.solutions import solution
from minillm.exercises.stubs import stub
from minillm.grading import checking, recorded


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """RMSNorm's file."""
    path = tmp_path_factory.mktemp("recorded") / "rmsnorm.npz"
    recorded.record(exercises.load("rmsnorm"), "# the stub\n", path)
    return path


@pytest.fixture(scope="module")
def exercise(recording):
    told = exercises.told("rmsnorm")
    return exercises.from_recording(recording, name="rmsnorm", **{**told, "hints": tuple(told["hints"])})


def statuses(exercise, source):
    return {verdict.check: verdict.status for verdict in checking.run(exercise, source)}


def test_cases_answers_and_those_of_mistakes_come_back_to_the_last_bit(exercise):
    original = exercises.load("rmsnorm")
    for check in original.checks:
        rng = checking.generator(recorded.RECORDING, "rmsnorm", check.name, "")
        for made, read in zip(checking.prepare(original, check, rng), recorded.prepared(exercise, exercise.check(check.name)), strict=True):
            assert str(read.case) == str(made.case) and read.case.steps == made.case.steps and read.case.compared == made.case.compared
            assert read.mistaken.keys() == made.mistaken.keys()
            for name, value in made.case.values.items():
                np.testing.assert_array_equal(read.case.values[name], value)
            for answer, other in ((made.expected, read.expected), *((made.mistaken[name], read.mistaken[name]) for name in made.mistaken)):
                for one, two in zip(answer.values(), other.values(), strict=True):
                    for a, b in zip(*((each if isinstance(each, tuple) else (each,)) for each in (one, two)), strict=True):
                        np.testing.assert_array_equal(a, b)


def test_it_has_titles_points_advice_and_the_stub_and_nothing_to_call(exercise):
    original = exercises.load("rmsnorm")
    assert [(check.name, check.title, check.after) for check in exercise.checks] == [(check.name, check.title, check.after) for check in original.checks]
    assert {each.name: each.advice for each in exercise.mistakes} == {each.name: each.advice for each in original.mistakes}
    assert stub(exercise) == "# the stub\n"
    with pytest.raises(ValueError, match="no reference"):
        exercise.functions["forward"](np.ones(3), np.ones(3))


def test_right_and_wrong_functions_are_judged_as_with_the_reference(exercise):
    right = solution("rmsnorm")
    assert set(statuses(exercise, right).values()) == {"passed"}
    wrong = "def forward(x, w, eps=1e-5):\n    return x / ((x * x).sum(-1, keepdims=True) + eps)**0.5 * w, ()\n"
    mine, theirs = (checking.run(each, wrong)[0] for each in (exercise, exercises.load("rmsnorm")))
    assert (mine.status, mine.diagnosis) == (theirs.status, theirs.diagnosis) == ("failed", "sum for mean")


def test_gradients_learnt_by_heart_are_no_slopes(exercise):
    """Whoever reads the recorded answers out of the file can return them; on numbers that stand in no recording that is found out."""
    answers = [each.expected["gradients"] for each in recorded.prepared(exercise, exercise.check("backward"))]
    known = repr([[gradient.tolist() for gradient in gradients] for gradients in answers])
    by_heart = solution("rmsnorm") + f"""

KNOWN = {known}


def backward(dy, cache):
    return next(tuple(map(np.array, gradients)) for gradients in KNOWN if np.shape(gradients[0]) == dy.shape)
"""
    [verdict] = [each for each in checking.run(exercise, by_heart) if each.check == "backward"]
    assert verdict.status == "failed" and "is not the slope of your forward" in verdict.message
    assert checking.run(exercises.load("rmsnorm"), by_heart)[2].status == "failed"       # drawn for another secret: nothing to learn


def test_a_forward_in_float32_has_slopes_that_are_exact_enough(exercise):
    rounded = solution("rmsnorm").replace("def forward(", "def exact(") + """

def forward(x, w, eps=1e-5):
    y, cache = exact(x.astype("float32"), w.astype("float32"), eps)
    return y.astype(x.dtype), (x, w, *cache[2:])
"""
    assert set(statuses(exercise, rounded).values()) == {"passed"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"{}"])
def test_a_damaged_recording_is_a_sentence(tmp_path, content):
    path = tmp_path / "linear.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="linear.npz is no recording of checks, or it is damaged"):
        recorded.read(path)
