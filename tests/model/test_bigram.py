"""The bigram: counted and trained are the same model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minillm.checks import gradient_check
from minillm.model import Bigram

from .small import batch, distance

V = 5
TEXTS = arrays.arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(2, 9)), elements=st.integers(0, V - 1))


def probabilities(model):
    logits = model.params["bigram.weight"].astype(np.float64)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


@settings(max_examples=25)
@given(TEXTS, st.sampled_from([0.0, 0.5, 2.0]))
def test_counted_probabilities_are_the_shares(texts, alpha):
    """Counted by a loop, pair by pair."""
    counts = np.full((V, V), alpha)
    for text in texts.tolist():
        for a, b in zip(text, text[1:], strict=False):
            counts[a, b] += 1
    model = Bigram.counted(texts[:, :-1], texts[:, 1:], V, alpha)
    for a in range(V):
        expected = counts[a] / counts[a].sum() if counts[a].any() else np.full(V, 1 / V)
        np.testing.assert_allclose(probabilities(model)[a], expected, atol=1e-12)


@settings(max_examples=25)
@given(TEXTS)
def test_the_gradient_is_zero_at_the_counted_solution(texts):
    """Gradient descent can't leave it: it is what training aims at. (What never occurred has a weight of −∞, and gradient 0 too.)"""
    model = Bigram.counted(texts[:, :-1], texts[:, 1:], V)
    loss, grads = model.loss_and_grads(texts[:, :-1], texts[:, 1:])
    assert np.isfinite(loss)
    assert abs(grads.flat).max() < 1e-12
    rng = np.random.default_rng(0)
    for _ in range(5):                          # and the loss is least there
        model.params["bigram.weight"][...] += 0.1 * rng.standard_normal((V, V))
        moved, _ = model.forward(texts[:, :-1], texts[:, 1:])
        assert moved >= loss - 1e-12
        model = Bigram.counted(texts[:, :-1], texts[:, 1:], V)


def test_gradient_descent_arrives_at_the_counted_solution():
    tokens, targets = batch(4, 60, V, ignored=3)
    counted, trained = Bigram.counted(tokens, targets, V), Bigram(V, seed=1, dtype="float64")
    assert (probabilities(counted) > 0).all(), "every pair must occur, for a solution that can be reached"
    best, _ = counted.forward(tokens, targets)
    start, _ = trained.forward(tokens, targets)
    for _ in range(300):
        _, grads = trained.loss_and_grads(tokens, targets)
        trained.params.flat[...] -= 4 * grads.flat
    arrived, _ = trained.forward(tokens, targets)
    assert start - best > 0.05 and 0 <= arrived - best < 1e-9
    np.testing.assert_allclose(probabilities(trained), probabilities(counted), atol=1e-5)


def test_perplexity_by_hand():
    """After 0 came 1, 1 and 2; after 1 came 0 twice. The counted model loses ln 3 − (2/3) ln 2 on the former, nothing on the latter."""
    tokens, targets = np.array([[0, 1, 0, 1, 0]]), np.array([[1, 0, 1, 0, 2]])
    loss, _ = Bigram.counted(tokens, targets, 3).forward(tokens, targets)
    assert abs(np.exp(loss) - np.exp((3 * np.log(3) - 2 * np.log(2)) / 5)) < 1e-12


def test_a_sure_thing_has_perplexity_1_and_a_fair_die_as_many_as_it_has_sides():
    cycle = np.arange(24).reshape(1, -1) % V
    loss, _ = Bigram.counted(cycle[:, :-1], cycle[:, 1:], V).forward(cycle[:, :-1], cycle[:, 1:])
    assert abs(np.exp(loss) - 1) < 1e-12
    die = np.array([[a, b] for a in range(V) for b in range(V)])
    loss, _ = Bigram.counted(die[:, :1], die[:, 1:], V).forward(die[:, :1], die[:, 1:])
    assert abs(np.exp(loss) - V) < 1e-12


def test_smoothing_makes_the_unseen_possible():
    tokens, targets, unseen = np.array([[0, 0]]), np.array([[1, 1]]), np.array([[0, 2]])
    with np.errstate(all="ignore"):
        assert Bigram.counted(tokens, targets, 3).forward(tokens, unseen)[0] == np.inf
    smooth, _ = Bigram.counted(tokens, targets, 3, alpha=1.0).forward(tokens, unseen)
    assert abs(smooth - np.log(5)) < 1e-12      # both targets have one of 2 + 3 counts: ln 5


def test_ignored_targets_are_not_counted():
    tokens, targets = np.array([[0, 0, 0]]), np.array([[1, -100, 1]])
    assert probabilities(Bigram.counted(tokens, targets, 3))[0].tolist() == [0, 1, 0]


def test_the_gradient_is_the_slope(unchecked):
    model = Bigram(7, dtype="float64")
    model.params["bigram.weight"][...] = np.random.default_rng(0).standard_normal((7, 7))
    report = gradient_check(model, *batch(2, 6, 7, ignored=2))
    assert report.ok, report
    assert gradient_check(model, *batch(2, 6, 7), denominator=31).ok


def test_slices_add_up():
    model, (tokens, targets) = Bigram(7, dtype="float64"), batch(4, 6, 7)
    whole, grads = model.loss_and_grads(tokens, targets)
    sums = model.params.zeros()
    parts = [model.loss_and_grads(tokens[rows], targets[rows], into=sums, denominator=24)[0] for rows in (slice(0, 1), slice(1, 4))]
    assert abs(sum(parts) - whole) < 1e-12 and distance(sums, grads) < 1e-12


def test_the_face_of_a_transformer():
    model, (tokens, targets) = Bigram(7), batch(2, 6, 7)
    assert model(tokens).shape == (2, 6, 7) and model(tokens).dtype == np.float32
    loss, grads = model.loss_and_grads(tokens, targets)
    assert type(loss) is float and list(grads) == list(model.params) == ["bigram.weight"]
    assert abs(loss - np.log(7)) < 0.05


@pytest.mark.parametrize("call, sentence", [
    (lambda: Bigram(V)(np.array([[0, V]])), "Token 5 in row 0, position 1, is outside the vocabulary of 5"),
    (lambda: Bigram(V).forward(np.array([[0]]), np.array([[-1]])), "Target -1"),
    (lambda: Bigram.counted(np.array([[0]]), np.array([[V]]), V), "Target 5"),
    (lambda: Bigram.counted(np.array([[0]]), np.array([[1]]), V, alpha=-1.0), "alpha .* 0 or more, not -1"),
])
def test_what_cannot_be_read_is_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
