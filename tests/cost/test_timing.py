"""Clocks around operations: what they note, and that they change nothing. No time is ever compared with another."""

import doctest
import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from minillm.arrays import num_threads, set_num_threads
from minillm.cost.timing import Spent, Times, timing
from minillm.kernels import CUDA
from minillm.ops import REFERENCE
from minillm.training.step import Gradients, loss_and_grads
from model.small import GPT2, LLAMA, batch, same_bits, small

module = importlib.import_module("minillm.cost.timing")      # the package has a function of that name
B, T = 2, 5


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by one second whenever somebody looks at it: an operation takes one."""
    now = iter(range(10**6))
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(now)))


def timed(shape=LLAMA, **options):
    model, times = small(shape), Times()
    grads = model.with_ops(timing(model.ops, times)).loss_and_grads(*batch(B, T), **options)[1]
    return model, grads, times


def test_the_example_in_the_docstring_is_true():
    assert doctest.testmod(module) == (0, 6)


@pytest.mark.parametrize("shape", [LLAMA, GPT2 | dict(dropout=0.2)], ids=["llama", "gpt2"])
@pytest.mark.parametrize("recompute", [False, True])
def test_timing_changes_no_bit_of_a_gradient(shape, recompute):
    model, grads, _ = timed(shape, recompute=recompute, dropout_key=1)
    assert not same_bits(model.loss_and_grads(*batch(B, T), recompute=recompute, dropout_key=1)[1], grads)


def test_every_call_is_noted_with_its_place_and_direction(clock):
    _, _, times = timed()
    layers = 2
    calls = {op: spent.calls for op, spent in times.by_op.items()}
    assert calls == {"embedding": 2, "rmsnorm": 2 * (layers + 1), "linear": 2 * 7 * layers, "rope": 4 * layers, "attention": 2 * layers,
                     "add_rmsnorm": 2 * layers, "swiglu": 2 * layers, "linear_cross_entropy": 2}
    assert all(spent.seconds == spent.calls for spent in times.by_op.values())
    assert times.by_phase["forward"].calls == times.by_phase["backward"].calls == sum(calls.values()) / 2
    assert times.by_layer["layers.1"].calls == times.by_layer["layers.0"].calls == 2 * (1 + 7 + 2 + 1 + 1 + 1)
    assert list(times.by_layer)[0] == "embedding" and times.by_layer["loss"].calls == 2


def test_recompute_is_timed_as_a_second_forward(clock):
    *_, once = timed()
    *_, twice = timed(recompute=True)
    assert twice.by_op["attention"].seconds == 2 * (1 + 1 + 1) == once.by_op["attention"].seconds + 2


def test_bytes_of_a_matrix_by_hand():
    times = Times()
    op = timing(REFERENCE, times).linear
    x, w, b = np.ones((3, 4, 5)), np.ones((5, 7)), np.ones(7)
    y, cache = op.forward(x, w, b)
    gradients = op.backward(y, cache)
    (_, _, _, forward), (_, _, _, backward) = times.calls
    assert forward.bytes == sum(array.nbytes for array in (x, w, b, y))
    assert backward.bytes == sum(array.nbytes for array in (y, x, w, *gradients))
    op.backward(y, cache, into=(w_into := np.zeros_like(w), np.zeros_like(b)))
    assert times.calls[-1][3].bytes == backward.bytes and w_into.any()


def test_the_same_memory_moves_once():
    """Attention's backward reads q as k and as v too, where somebody gives it three times."""
    times = Times()
    q = np.ones((1, 3, 1, 4))
    y, _ = timing(REFERENCE, times).attention.forward(q, q, q)
    assert times.calls[0][3].bytes == q.nbytes + y.nbytes


def test_masks_and_other_arrays_among_the_options_count():
    times = Times()
    q, mask = np.ones((1, 3, 1, 4)), np.ones((1, 1, 3, 3), bool)
    y, _ = timing(REFERENCE, times).attention.forward(q, q, q, mask=mask)
    assert times.calls[0][3].bytes == q.nbytes + mask.nbytes + y.nbytes


def test_a_table_counts_for_the_rows_that_are_looked_up():
    times = Times()
    op, table = timing(REFERENCE, times).embedding, np.ones((10_000, 8))
    y, cache = op.forward(np.array([[1, 2, 2]]), table)
    op.backward(y, cache, into=table)
    assert [call[3].bytes for call in times.calls] == [2 * y.nbytes, 2 * y.nbytes]


def test_threads_note_all_their_calls():
    model, times, (tokens, targets) = small(LLAMA), Times(), batch(6, T)
    table, before = timing(model.ops, times), num_threads()
    set_num_threads(3)
    try:
        loss_and_grads(model.with_ops(table), tokens, targets, Gradients(model.params))
    finally:
        set_num_threads(before)
    assert times.by_op["attention"].calls == 3 * 2 * 2


def test_a_gpu_notes_the_time_itself_and_nobody_waits_until_the_sums_are_asked_for(gpu):
    """Its clock moves by one second whenever it notes the time: an operation takes one."""
    now = iter(range(10**6))

    class Event:
        def record(self):
            self.time = next(now)

        def synchronize(self):
            waited.append(self)

    waited, times, x = [], Times(), gpu.ones((3, 4), "float32")
    fake = SimpleNamespace(cuda=SimpleNamespace(Event=Event, get_elapsed_time=lambda began, end: 1000.0 * (end.time - began.time)))
    op = timing(CUDA, times).softmax
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "xp", lambda array: fake)
        y, cache = op.forward(x)
        op.backward(y, cache)
        assert not waited
    assert times.by_phase == {"forward": Spent(1, 1.0, 2 * y.nbytes), "backward": Spent(1, 1.0, 2 * y.nbytes)} and len(waited) == 2
    assert times.by_op["softmax"] == Spent(2, 2.0, 4 * y.nbytes) and len(waited) == 2, "they are read once"


def test_sums_of_what_was_spent():
    assert Spent(1, 0.5, 10) + Spent(2, 0.25, 5) == Spent(3, 0.75, 15)
