"""The gradient check must find every kind of wrong gradient, and the guarded table the first NaN."""

from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

import minillm
from minillm import checks
from minillm.arrays import place
from minillm.ops import REFERENCE, attention, embedding, linear, rmsnorm, softmax

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 5)), RNG.standard_normal(5)


def with_gradients(op, change):
    """The operation, with `change(dx, dw, …)` for its gradients."""
    return SimpleNamespace(forward=op.forward, backward=lambda dy, cache: change(*op.backward(dy, cache)))


def changed(array, at, value):
    array = array.copy()
    array[at] = value
    return array


# --- the gradient check ----------------------------------------------------------------------------------------------------------------

def test_a_right_gradient_passes_and_the_report_says_so():
    report = minillm.gradient_check(linear, X, W, B)
    assert report.ok
    assert [row.name for row in report.rows] == ["x", "w", "b"]
    assert all(row.error < 1e-8 and row.claimed > 0.1 for row in report.rows)
    text = str(report)
    assert text.count("  ok\n") == 3 and "relative error (at most 1e-06)" in text and "worst entry: " in text


@pytest.mark.parametrize("wrong, verdict", [
    (lambda dw: -dw, "differs"),
    (lambda dw: 1.00001 * dw, "differs"),
    (lambda dw: changed(dw, (2, 3), dw[2, 3] + 1e-4), "differs"),
    (lambda dw: changed(dw, (2, 3), np.nan), "isn't finite"),
    (lambda dw: changed(dw, (2, 3), np.inf), "isn't finite"),
    (lambda dw: np.full_like(dw, np.nan), "isn't finite"),
    (lambda dw: dw[:, ::-1], "differs"),
    (lambda dw: 0 * dw, "differs"),
], ids=["sign", "scale", "one entry", "one NaN", "one infinity", "all NaN", "order", "all zero"])
def test_a_wrong_gradient_is_found_and_only_it(wrong, verdict):
    report = minillm.gradient_check(with_gradients(linear, lambda dx, dw, db: (dx, wrong(dw), db)), X, W, B)
    assert not report.ok
    assert [row.verdict for row in report.rows] == ["", verdict, ""]
    assert report.worst.name == "w" and verdict in str(report)


def test_the_worst_entry_is_named_with_both_numbers():
    wrong = with_gradients(linear, lambda dx, dw, _: (dx, changed(dw, (2, 3), 77.0), None))
    measured = minillm.gradient_check(linear, X, W).rows[1]
    report = minillm.gradient_check(wrong, X, W)
    assert measured.verdict == "" and report.worst.worst.startswith("w[2, 3]: claimed 77, measured ")
    assert str(report).endswith(f"worst entry: {report.worst.worst}")


def test_nothing_but_zeros_is_found_although_the_slope_is_zero_too():
    """Where forward ignores an input, zero is the right gradient; but then someone must have said so."""
    ignoring = SimpleNamespace(forward=lambda x, w: (2 * x, w), backward=lambda dy, w: (2 * dy, 0 * w))
    assert minillm.gradient_check(ignoring, X, W).rows[1].verdict == "is zero where nothing says it should be"
    assert minillm.gradient_check(ignoring, X, W, zeros=("w",)).ok


def test_a_gradient_listed_as_zero_must_be_zero():
    assert not minillm.gradient_check(linear, X, W, zeros=("w",)).ok
    nearly = SimpleNamespace(forward=lambda x, w: (2 * x, w), backward=lambda dy, w: (2 * dy, 1e-10 * w))
    assert minillm.gradient_check(nearly, X, W, zeros=("w",)).rows[1].verdict == "should be zero, and isn't"


@pytest.mark.parametrize("zeros", [("w",), ("x", "w")])
def test_a_backward_of_zeros_does_not_pass_because_its_gradient_is_listed(zeros):
    lazy = with_gradients(linear, lambda dx, dw, _: (dx if "x" not in zeros else 0 * dx, 0 * dw, None))
    assert not minillm.gradient_check(lazy, X, W, zeros=zeros).ok


def test_a_listed_name_that_no_tensor_has_is_refused():
    with pytest.raises(ValueError, match="no tensor 'weight'; there are x, w"):
        minillm.gradient_check(linear, X, W, zeros=("weight",))


@pytest.mark.parametrize("change, sentence", [
    (lambda dx, dw, db: (dx, dw.T, db), r"gradient of w has the shape \(5, 4\), but w has \(4, 5\)"),
    (lambda dx, dw, db: (dx, dw[:, 0], db), r"gradient of w has the shape \(4,\)"),
    (lambda dx, dw, db: (dx, dw), "2 gradients for 3 float arrays"),
    (lambda dx, dw, db: (dx, None, db), "2 gradients for 3 float arrays"),
    (lambda dx, dw, db: (dx, dw, db, db), "4 gradients for 3 float arrays"),
])
def test_a_gradient_of_the_wrong_shape_or_a_missing_one_is_refused_with_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        minillm.gradient_check(with_gradients(linear, change), X, W, B)


def test_arguments_are_not_altered():
    arrays = [X.copy(), W.copy(), B.astype("float32")]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    assert minillm.gradient_check(linear, *arrays).ok
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(arrays, before, strict=True))


def test_the_upstream_gradient_is_random():
    """For dy = (1, …, 1) the gradient of a softmax is zero, and rows in the wrong order can't be told from those in the right."""
    lazy = with_gradients(softmax, lambda dx: (0 * dx,))
    assert not minillm.gradient_check(lazy, X).ok
    reversed_rows = SimpleNamespace(forward=lambda x: (2 * x, None), backward=lambda dy, _: (2 * dy[::-1],))
    assert not minillm.gradient_check(reversed_rows, X).ok


def test_of_large_tensors_some_entries_are_compared_drawn_by_the_seed():
    moved = []

    def forward(x):
        moved.append(np.argwhere(x != X).tolist())
        return 2 * x, None

    op = SimpleNamespace(forward=forward, backward=lambda dy, _: (2 * dy,))
    assert minillm.gradient_check(op, X, entries=3).ok
    tried = {tuple(entry[0]) for entry in moved if entry}
    assert len(tried) == 3 and len(moved) == 1 + 2 * 3
    half_wrong = with_gradients(linear, lambda dx, dw, _: (dx, changed(dw, np.s_[:, ::2], 0), None))
    assert not minillm.gradient_check(half_wrong, X, W, entries=12).ok


def test_integers_and_absent_arrays_have_no_gradient():
    report = minillm.gradient_check(embedding, np.array([1, 1, 0]), W)
    assert report.ok and [row.name for row in report.rows] == ["w"]
    assert [row.name for row in minillm.gradient_check(linear, X, W, None).rows] == ["x", "w"]


def test_several_weights_are_numbered():
    report = minillm.gradient_check(REFERENCE.add_layernorm, X, 2 * X, W[:, 0], W[:, 1])
    assert report.ok and [row.name for row in report.rows] == ["x", "branch", "weights0", "weights1"]


def test_several_outputs_are_differentiated_together():
    op = SimpleNamespace(forward=lambda x: ((2 * x, 3 * x), None), backward=lambda dy, _: (2 * dy[0] + 3 * dy[1],))
    assert minillm.gradient_check(op, X).ok
    forgetful = SimpleNamespace(forward=op.forward, backward=lambda dy, _: (2 * dy[0],))
    assert not minillm.gradient_check(forgetful, X).ok
    assert minillm.gradient_check(SimpleNamespace(forward=op.forward, backward=lambda dy, _: (2 * dy,)), X, output=lambda y: y[0]).ok


class Quadratic:
    """A model of two tensors: the loss is Σ (a + 2 b · tokens)²/2, up to the mistake in b's gradient."""

    def __init__(self, mistake=0.0):
        self.params, self.mistake = {"a": np.array([1.0, 2]), "b": np.array([0.5])}, mistake

    def forward(self, tokens, targets):
        error = self.params["a"] + 2 * self.params["b"] * tokens
        return (error * error).sum() / 2, error

    def loss_and_grads(self, tokens, targets):
        loss, error = self.forward(tokens, targets)
        return loss, {"a": error, "b": np.array([2 * (error * tokens).sum() + self.mistake])}


def test_a_model_is_checked_by_the_names_of_its_parameters():
    batch = np.array([3, 4]), np.array([0, 0])
    report = minillm.gradient_check(Quadratic(), *batch)
    assert report.ok and [row.name for row in report.rows] == ["a", "b"]
    report = minillm.gradient_check(Quadratic(mistake=0.01), *batch)
    assert [row.verdict for row in report.rows] == ["", "differs"]


# --- the guarded table -----------------------------------------------------------------------------------------------------------------

GUARDED = checks.guarded(REFERENCE)


def test_a_guarded_table_computes_the_same():
    y, cache = GUARDED.linear.forward(X, W)
    expected, _ = linear.forward(X, W)
    assert np.array_equal(y, expected)
    into = np.ones_like(W)
    assert GUARDED.linear.backward(y, cache, into=(into, None))[1] is into
    assert GUARDED.linear.flops((3, 4), (4, 5)) == linear.flops((3, 4), (4, 5))
    (losses, cache) = GUARDED.cross_entropy.forward(X, np.array([1, 2, 3]))
    GUARDED.cross_entropy.backward(1.0, cache)


def test_the_first_nan_forward_is_told_with_its_operation_place_and_array():
    x = changed(X, (1, 2), np.nan)
    with place("layers.3"), place("attention"), pytest.raises(FloatingPointError) as problem:
        GUARDED.rmsnorm.forward(x, np.ones(4))
    said = str(problem.value)
    assert said.startswith("layers.3.attention: rmsnorm.forward made float64 (3, 4) with 4 NaN, else between")
    assert "as output 0; its inputs were already bad: float64 (3, 4) with 1 NaN" in said


def test_an_operation_that_makes_the_nan_itself_is_told_apart():
    with pytest.raises(FloatingPointError, match="outside any layer: linear.forward .* its inputs were finite"), np.errstate(all="ignore"):
        GUARDED.linear.forward(np.full((1, 1), 1e200), np.full((1, 1), 1e200))


def test_the_first_nan_backward_is_told_with_the_number_of_the_gradient():
    broken = with_gradients(rmsnorm, lambda dx, dw: (dx, np.full_like(dw, np.inf)))
    broken.flops = rmsnorm.flops
    ops = checks.guarded(REFERENCE.replace(rmsnorm=broken))
    y, cache = ops.rmsnorm.forward(X, np.ones(4))
    with place("layers.0"), pytest.raises(FloatingPointError,
                                          match=r"^layers.0: rmsnorm.backward made float64 \(4,\) with 4 infinite as gradient 1"):
        ops.rmsnorm.backward(y, cache)


def test_16_bit_numbers_and_every_output_are_watched():
    bad = np.array([[1, np.inf]], ml_dtypes.bfloat16)
    with pytest.raises(FloatingPointError, match=r"relu.forward made bfloat16 \(1, 2\) with 1 infinite, else between 1 and 1"):
        GUARDED.relu.forward(bad)
    with pytest.raises(FloatingPointError, match="add_rmsnorm.forward made .* output 0"):
        GUARDED.add_rmsnorm.forward(changed(X, (0, 0), np.nan), X, np.ones(4))


def test_a_query_that_sees_nothing_is_no_alarm():
    q = X.reshape(1, 3, 2, 2)
    y, cache = GUARDED.attention.forward(q, q, q, window=0)
    GUARDED.attention.backward(y, cache)
    assert GUARDED.names() == REFERENCE.names() and GUARDED.attention.op is attention


@pytest.mark.parametrize("array, text", [
    (np.array([[-1.5, 2.25]], np.float32), "float32 (1, 2) between -1.5 and 2.25"),
    (np.array([1, np.nan, -np.inf, np.inf]), "float64 (4,) with 1 NaN, 2 infinite, else between 1 and 1"),
    (np.array([np.nan]), "float64 (1,) with 1 NaN"),
    (np.array([3, 4]), "int64 (2,)"),
    (np.zeros((0, 3)), "float64 (0, 3)"),
    (np.array([2, np.inf], ml_dtypes.bfloat16), "bfloat16 (2,) with 1 infinite, else between 2 and 2"),
    (np.float32(0.5), "float32 () between 0.5 and 0.5"),
])
def test_describe(array, text):
    assert checks.describe(array) == text
