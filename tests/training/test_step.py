"""Slices of a batch add to one gradient: in order, to the same bits every time, and without a second buffer."""

import tracemalloc

import numpy as np
import pytest
from minillm import Config, Transformer, arrays
from minillm.training.step import Gradients, loss_and_grads

SHAPE = dict(vocab_size=50, d_model=16, num_layers=3, num_heads=2, d_ff=24, max_seq_len=12, initialisation="fan_in")
VARIANTS = {"llama": {}, "tied": dict(tied=True), "gpt2": dict(positions="learned", norm="layernorm", norm_bias=True, attention_bias=True,
                                                               feed_forward_bias=True, feed_forward="gelu", tied=True)}


def batch(rows, t=12, v=50):
    rng = np.random.default_rng(rows)
    return rng.integers(0, v, (rows, t)), rng.integers(0, v, (rows, t))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_threads_and_micro_batches_in_any_number_give_the_gradient_of_the_whole(variant, micro_batches, monkeypatch):
    model, (tokens, targets) = Transformer(Config(**SHAPE | VARIANTS[variant]), dtype="float64"), batch(7)
    loss, expected = model.loss_and_grads(tokens, targets)
    for threads in (1, 2, 3, 5):
        monkeypatch.setattr(arrays, "_threads", threads)
        gradients = Gradients(model.params)
        gradients.total.flat[...] = 3.0          # of the step before: forgotten
        assert loss_and_grads(model, tokens, targets, gradients, micro_batches)[0] == pytest.approx(loss, rel=1e-12)
        for name, gradient in expected.items():
            np.testing.assert_allclose(gradients.total[name], gradient, rtol=0, atol=1e-13 * np.abs(expected.flat).max(), err_msg=f"{name}, {threads} threads")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_number_of_threads_gives_the_same_bits_every_time(variant, monkeypatch, unchecked):
    monkeypatch.setattr(arrays, "_threads", 3)
    model, (tokens, targets) = Transformer(Config(**SHAPE | VARIANTS[variant])), batch(6)
    gradients, first = Gradients(model.params), None
    for _ in range(20):
        loss_and_grads(model, tokens, targets, gradients)
        first = gradients.total.flat.copy() if first is None else first
        np.testing.assert_array_equal(gradients.total.flat, first)


def test_the_slices_are_summed_in_their_order(monkeypatch):
    monkeypatch.setattr(arrays, "_threads", 3)
    model, (tokens, targets) = Transformer(Config(**SHAPE)), batch(3)
    gradients, total = Gradients(model.params), model.params.zeros()
    loss_and_grads(model, tokens, targets, gradients)
    for row in range(3):
        model.loss_and_grads(tokens[row:row + 1], targets[row:row + 1], into=total, denominator=36.0, first_row=row)
    np.testing.assert_array_equal(gradients.total.flat, total.flat)


def test_no_thread_has_a_gradient_of_its_own(monkeypatch, unchecked):
    monkeypatch.setattr(arrays, "_threads", 4)
    model, (tokens, targets) = Transformer(Config(**SHAPE | dict(d_model=128, num_layers=8, d_ff=256))), batch(4, 2)
    gradients = Gradients(model.params)
    loss_and_grads(model, tokens, targets, gradients)
    tracemalloc.start()
    loss_and_grads(model, tokens, targets, gradients)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.75 * model.params.flat.nbytes, f"a step took {peak:,} bytes beside a gradient of {model.params.flat.nbytes:,}"


def test_an_error_in_one_slice_ends_the_step(monkeypatch):
    monkeypatch.setattr(arrays, "_threads", 2)
    model, (tokens, targets) = Transformer(Config(**SHAPE)), batch(4)
    tokens[0, 3] = 99
    with pytest.raises(ValueError, match="Token 99 in row 0"):
        loss_and_grads(model, tokens, targets, Gradients(model.params))


def test_a_model_that_takes_no_turns_is_refused(monkeypatch):
    monkeypatch.setattr(arrays, "_threads", 2)
    model, (tokens, targets) = Transformer(Config(**SHAPE)), batch(4)

    class Hasty(Transformer):
        def backward(self, cache, into):
            return into

    hasty = Hasty(model.config)
    with pytest.raises(TypeError, match="The backward of Hasty takes no turns"):
        loss_and_grads(hasty, tokens, targets, Gradients(model.params))
