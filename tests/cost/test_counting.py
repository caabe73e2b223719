"""What is counted is what is executed, all of it, and nothing changes by being counted. Single operations: tests/ops/test_every_op.py."""

import doctest
import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm import Config, Transformer, arrays, updates
from minillm.cost.counting import Count, Tally, counting
from minillm.cost.flops import adamw, of_model
from minillm.cost.watching import Escaped, watching
from minillm.ops import REFERENCE, linear, rmsnorm
from minillm.training.step import Gradients, loss_and_grads
from model.small import FIRST, GPT2, LLAMA, batch, same_bits, small


def counted(work):
    """The tally of one function of a (2, 3, 4) and a (4, 5) array."""
    count = Count()
    with watching(count.kind):
        work(count.watched(np.ones((2, 3, 4))), np.ones((4, 5)))
    return count.total


def test_the_examples_in_the_docstring_are_true():
    assert doctest.testmod(sys.modules["minillm.cost.counting"]) == (0, 10)


# --- what an array sees ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("work, matmul, elementwise", [
    (lambda x, m: x @ m, 2 * 6 * 4 * 5, 0),
    (lambda x, m: x.swapaxes(-1, -2) @ x, 2 * 2 * 4 * 3 * 4, 0),
    (lambda x, m: np.matmul(x, m, out=np.empty((2, 3, 5))), 2 * 6 * 4 * 5, 0),
    (lambda x, m: np.matmul(m.T, m, out=np.empty((5, 5))), 2 * 5 * 4 * 5, 0),
    (lambda x, m: x @ m[:, 0], 2 * 6 * 4, 0),
    (lambda x, m: x[0, 0] @ m, 2 * 4 * 5, 0),
    (lambda x, m: np.zeros((3, 0)) @ np.zeros((0, 2)), 0, 0),
    (lambda x, m: np.vecdot(x, x), 2 * 6 * 4, 0),
    (lambda x, m: x * 2 + 1, 0, 48),
    (lambda x, m: x[:, :1] * x[:1], 0, 24),
    (lambda x, m: np.add(x, x, out=x), 0, 24),
    (lambda x, m: x.__iadd__(1), 0, 24),
    (lambda x, m: m.__iadd__(x[0, 0, 0]), 0, 20),
    (lambda x, m: x.mean(-1), 0, 24 + 6),
    (lambda x, m: x.sum((0, 2)), 0, 24),
    (lambda x, m: np.sum(x), 0, 24),
    (lambda x, m: np.clip(x, 0, 1), 0, 24),
    (lambda x, m: np.add.accumulate(x, -1), 0, 24),
    (lambda x, m: np.multiply.outer(x[0, 0], x[0, 0]), 0, 16),
    (lambda x, m: divmod(x, 2), 0, 48),
    (lambda x, m: x.max(), 0, 24),
    (lambda x, m: np.where(x > 0, x, 0), 0, 48),
    (lambda x, m: np.exp(np.zeros(7)), 0, 7),
    (lambda x, m: np.asarray(x) + np.array(x), 0, 24),
    (lambda x, m: np.concatenate([x, x]) * 2, 0, 48),
    (lambda x, m: np.stack([x, x])[1] * 2, 0, 24),
    (lambda x, m: np.add.at(np.zeros((9, 2)), np.array([1, 1]), np.ones((2, 2))), 0, 4),
    (lambda x, m: np.add.at(np.zeros((9, 2)), np.array([1, 1, 1]), 1.0), 0, 6),
    (lambda x, m: np.arange(5) * 3, 0, 0),
    (lambda x, m: x.astype("float32").reshape(-1)[3:].copy(), 0, 0),
    (lambda x, m: (x @ m).sum(-1), 2 * 6 * 4 * 5, 30),
    (lambda x, m: x.sum() / 3, 0, 24),
    (lambda x, m: [row * 2 for matrix in x for row in matrix], 0, 24),
])
def test_work_is_counted(work, matmul, elementwise):
    assert counted(work).matmul == matmul
    assert counted(work).elementwise == elementwise


def test_work_on_single_numbers_is_counted_apart():
    assert counted(lambda x, m: x.sum() / 3) == Tally(0, 24, 1, 24 * 8)
    assert counted(lambda x, m: sum(x[0, 0, i] * x[0, 1, i] for i in range(4))).singles == 4 + 4


def test_work_in_place_is_counted_and_done():
    x, count = np.ones((2, 3)), Count()
    part = x[0]
    part += count.watched(np.ones(3))
    assert count.total.elementwise == 3
    assert x.tolist() == [[2] * 3, [1] * 3]


@pytest.mark.parametrize("work, moved", [
    (lambda x, m: x @ m, 8 * (24 + 20 + 30)),
    (lambda x, m: x + 1, 8 * (24 + 24)),
    (lambda x, m: x.sum(-1), 8 * (24 + 6)),
    (lambda x, m: x.astype("float32"), 8 * 24 + 4 * 24),
    (lambda x, m: x.copy(), 8 * (24 + 24)),
    (lambda x, m: x.reshape(-1), 0),
    (lambda x, m: x.transpose(2, 0, 1).reshape(-1), 8 * (24 + 24)),
    (lambda x, m: x[0], 0),
    (lambda x, m: x[np.array([0, 0, 0])], 8 * (36 + 36)),
    (lambda x, m: x.__setitem__(0, m.T[:3]), 8 * (12 + 12)),
])
def test_bytes_are_what_is_read_and_written(work, moved):
    assert counted(work).bytes == moved


ESCAPES = dict(
    einsum=lambda x: np.einsum("ij,jk", x, x), dot=lambda x: np.dot(x, x), dot_method=lambda x: x.dot(x), inner=lambda x: np.inner(x, x),
    tensordot=lambda x: np.tensordot(x, x), vdot=lambda x: np.vdot(x, x), outer=lambda x: np.outer(x, x), norm=np.linalg.norm, inverse=np.linalg.inv,
    fourier=np.fft.fft, trace=lambda x: x.trace(), convolve=lambda x: np.convolve(x[0], x[0]), interpolate=lambda x: np.interp(x[0], x[0], x[0]),
    round=lambda x: x.round(2), plain_view=lambda x: x.view(np.ndarray) + 1, base=lambda x: x[0].base + 1, flat=lambda x: sum(n * n for n in x.flat),
    python_numbers=lambda x: sum(n * n for n in x[0].tolist()), item=lambda x: x.item(0) ** 2, math=lambda x: math.exp(x[0, 0]),
    vectorize=lambda x: np.vectorize(math.exp)(x), inside_a_list=lambda x: np.linalg.multi_dot([x, x]))


@pytest.mark.parametrize("escape", ESCAPES)
def test_what_would_not_be_seen_is_an_error(escape):
    count = Count()
    with pytest.raises(Escaped, match="@, ufuncs and reductions"), watching(count.kind):
        ESCAPES[escape](count.watched(np.eye(3)))


def test_outside_nothing_has_changed():
    makers = {name: getattr(np, name) for name in ("zeros", "empty", "arange", "asarray", "array")}
    count = Count()
    with pytest.raises(ZeroDivisionError), watching(count.kind):
        with watching(count.kind):
            assert isinstance(np.zeros(1), count.kind)
        assert isinstance(np.zeros(1), count.kind)
        raise ZeroDivisionError
    assert all(getattr(np, name) is maker for name, maker in makers.items())
    x = count.watched(np.array([1.5, 2.5]))
    assert type(np.asarray(x)) is np.ndarray and float(x[0]) == 1.5 and x.tolist() == [1.5, 2.5]
    assert repr(x) == "array([1.5, 2.5])"


# --- operations ------------------------------------------------------------------------------------------------------------------

def by_einsum(x, w, b=None):
    return np.einsum("...d,df->...f", x, w), (x, w, False)


def by_memory(x, w, b=None):
    """A product on the bare memory: nothing is asked, but the result is a plain array."""
    a, c = (np.frombuffer(memoryview(np.ascontiguousarray(each)), each.dtype) for each in (x, w))
    return memory_product(a, c, x.shape, w.shape), (x, w, False)


def memory_product(a, c, x, w, product=np.ndarray.__matmul__, reshape=np.ndarray.reshape, view=np.ndarray.view):
    a, c = (view(each, np.ndarray) for each in (a, c))
    return product(reshape(a, (-1, w[0])), reshape(c, w)).reshape(*x[:-1], w[1])


@pytest.mark.parametrize("forward", [by_einsum, by_memory])
def test_an_operation_whose_work_escapes_is_refused(forward):
    sneaky = SimpleNamespace(forward=forward, backward=linear.backward, flops=linear.flops)
    model = small(LLAMA)
    assert math.isfinite(model.with_ops(REFERENCE.replace(linear=sneaky)).forward(*batch())[0]), "it works, uncounted"
    with pytest.raises(Escaped):
        model.with_ops(counting(REFERENCE.replace(linear=sneaky), Count())).forward(*batch())


def test_a_gradient_that_escapes_is_refused():
    def backward(dy, cache):
        dx, dw = rmsnorm.backward(dy, cache)
        return memory_product(np.ascontiguousarray(dx), np.eye(6), dx.shape, (6, 6)), dw

    table = counting(replace(REFERENCE, rmsnorm=SimpleNamespace(forward=rmsnorm.forward, backward=backward, flops=rmsnorm.flops)), Count())
    with pytest.raises(Escaped, match="rmsnorm.backward made an array out of sight"):
        small(LLAMA).with_ops(table).loss_and_grads(*batch())


def test_another_librarys_arrays_are_refused():
    """A table of kernels computes on a GPU's arrays, which nobody sees."""
    on_gpu = SimpleNamespace(dtype=np.dtype("float32"), ndim=2, shape=(2, 6))
    kernel = SimpleNamespace(forward=lambda x, w: (on_gpu, ()), backward=None, flops=rmsnorm.flops)
    with pytest.raises(Escaped, match="rmsnorm.forward made an array out of sight"):
        counting(replace(REFERENCE, rmsnorm=kernel), Count()).rmsnorm.forward(np.ones((2, 6)), np.ones(6))


def test_what_is_composed_is_counted_under_its_own_name_and_by_its_parts_phases():
    count = Count()
    op = counting(REFERENCE, count).linear_cross_entropy
    x, w, targets = np.ones((6, 3)), np.ones((5, 3)), np.zeros(6, int)
    op.forward(x, w, targets)
    assert {(label.op, label.phase): tally.matmul for label, tally in count.work.items()} == {
        ("linear_cross_entropy", "forward"): 2 * 6 * 3 * 5, ("linear_cross_entropy", "backward"): 2 * 2 * 6 * 3 * 5}


# --- whole models ----------------------------------------------------------------------------------------------------------------

MODELS = {
    "llama, multi-query": (LLAMA, {}),
    "llama, grouped-query, tied": (LLAMA, dict(num_heads=4, num_kv_heads=2, tied=True)),
    "llama, multi-head, biases": (LLAMA, dict(num_heads=3, num_kv_heads=3, attention_bias=True, feed_forward_bias=True)),
    "llama, window": (LLAMA, dict(sliding_window=3)),
    "llama, dropout": (LLAMA, dict(dropout=0.3)),
    "gpt2": (GPT2, {}),
    "gpt2, untied": (GPT2, dict(tied=False, num_layers=3)),
    "gpt2, no biases, exact gelu": (GPT2, dict(norm_bias=False, attention_bias=False, feed_forward_bias=False, feed_forward="gelu")),
    "post-norm": (FIRST, {}),
    "post-norm, llama's parts": (FIRST, dict(norm="rmsnorm", norm_bias=False, feed_forward="swiglu", positions="rope", head_size=4)),
}


def step(name, recompute=False, b=2, t=5, **changes):
    shape, more = MODELS[name]
    model, count = small(shape, **(dict(max_seq_len=t) | more | changes)), Count()
    options = dict(recompute=recompute, dropout_key=7)
    plain = model.loss_and_grads(*batch(b, t), **options)
    return model, plain, model.with_ops(counting(model.ops, count)).loss_and_grads(*batch(b, t), **options), count


@pytest.mark.parametrize("recompute", [False, True], ids=["", "recompute"])
@pytest.mark.parametrize("name", MODELS)
def test_count_and_claim_are_the_same_whole_numbers(name, recompute):
    """Products and elementwise work, operation by operation, and forward, recompute and backward apart."""
    model, _, _, count = step(name, recompute)
    assert claimed(of_model(model.config, 2, 5, attention="executed", elementwise="all", recompute=recompute)) == executed(count)
    assert of_model(model.config, 2, 5, "palm", recompute=recompute).executed == count.matmul


@pytest.mark.parametrize("name", ["llama, grouped-query, tied", "gpt2", "llama, window"])
def test_attention_by_blocks_executes_more_than_is_needed_and_the_claim_says_both(name):
    t = 150                                      # a block of 128 queries and one of 22
    model, _, _, count = step(name, b=1, t=t)
    done, needed = (of_model(model.config, 1, t, attention=kind) for kind in ("executed", "causal"))
    assert done.matmul == done.executed == needed.executed == count.matmul > needed.matmul
    assert done.by_op["linear"] == needed.by_op["linear"] == count.by_op["linear"].matmul
    assert done.by_op["attention"] == count.by_op["attention"].matmul


@st.composite
def configs(draw):
    k, rope = draw(st.integers(1, 3)), draw(st.booleans())
    norm = draw(st.sampled_from(["rmsnorm", "layernorm"]))
    return Config(
        vocab_size=11, d_model=draw(st.integers(1, 9)), num_layers=draw(st.integers(1, 3)), num_kv_heads=k, num_heads=k * draw(st.integers(1, 3)),
        head_size=draw(st.integers(1, 4)) * (1 + rope), d_ff=draw(st.integers(1, 9)), max_seq_len=9, norm=norm,
        norm_position=draw(st.sampled_from(["pre", "post"])), norm_bias=norm == "layernorm" and draw(st.booleans()),
        positions="rope" if rope else draw(st.sampled_from(["learned", "sinusoidal"])), attention_bias=draw(st.booleans()),
        feed_forward=draw(st.sampled_from(["swiglu", "gelu", "gelu_tanh", "relu"])), feed_forward_bias=draw(st.booleans()),
        sliding_window=draw(st.none() | st.integers(1, 9)), tied=draw(st.booleans()), dropout=draw(st.sampled_from([0.0, 0.1])))


@pytest.mark.slow
@settings(max_examples=100)
@given(config=configs(), b=st.integers(1, 3), t=st.integers(1, 9), recompute=st.booleans())
def test_count_and_claim_are_the_same_for_any_model(config, b, t, recompute):
    model, count = Transformer(config, dtype="float64"), Count()
    model.with_ops(counting(model.ops, count)).loss_and_grads(*batch(b, t), recompute=recompute, dropout_key=1)
    assert claimed(of_model(config, b, t, attention="executed", elementwise="all", recompute=recompute)) == executed(count)


def executed(count):
    return {key: (tally.matmul, tally.elementwise) for key, tally in count.sums(lambda label: (label.op, label.phase)).items()
            if tally.matmul or tally.elementwise}


def claimed(bill):
    made = {}
    for (_, op, phase), work in bill.work.items():
        key = (op, "backward" if phase in ("dX", "dW") else phase)
        matmul, elementwise = made.get(key, (0, 0))
        made[key] = (matmul + work.matmul, elementwise + work.elementwise)
    return {key: work for key, work in made.items() if key[1] != "optimizer"}


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_counted_where_it_is_claimed(name):
    model, _, _, count = step(name)
    bill = of_model(model.config, 2, 5, attention="executed", elementwise="all")
    assert {place: tally.matmul + tally.elementwise for place, tally in count.by_layer.items()} == {
        place: work for place, work in bill.by_layer.items() if place != "optimizer"}


@pytest.mark.parametrize("recompute", [False, True], ids=["", "recompute"])
@pytest.mark.parametrize("name", MODELS)
def test_counting_changes_no_bit(name, recompute):
    _, (loss, grads), (same, others), _ = step(name, recompute)
    assert loss == same and same_bits(grads, others) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_in_other_precisions_nothing_changes_either(dtype):
    model, count = small(LLAMA, dtype), Count()
    loss, grads = model.loss_and_grads(*batch())
    same, others = model.with_ops(counting(model.ops, count)).loss_and_grads(*batch())
    assert loss == same and same_bits(grads, others) == []
    assert count.matmul == of_model(model.config, 2, 5, attention="executed").matmul


def test_an_evaluation_and_logits_cost_what_forward_does():
    model, count = small(LLAMA), Count()
    bill = of_model(model.config, 2, 5, attention="executed")
    table = counting(model.ops, count)
    model.with_ops(table).forward(*batch(), gradients=False)
    assert count.matmul == bill.by_phase["forward"]
    logits = model.with_ops(table)(batch()[0])
    assert count.matmul == 2 * bill.by_phase["forward"]
    assert np.array_equal(np.asarray(logits), model(batch()[0]))


def test_slices_on_several_threads_are_counted_together():
    model, count, (tokens, targets), before = small(LLAMA), Count(), batch(5, 4), arrays.num_threads()
    plain, watched = Gradients(model.params), Gradients(model.params)
    arrays.set_num_threads(2)
    try:
        loss, _ = loss_and_grads(model, tokens, targets, plain, micro_batches=2)
        same, _ = loss_and_grads(model.with_ops(counting(model.ops, count)), tokens, targets, watched, micro_batches=2)
    finally:
        arrays.set_num_threads(before)
    assert loss == same and plain.total.flat.tobytes() == watched.total.flat.tobytes()
    assert count.matmul == of_model(model.config, 5, 4, attention="executed").matmul


def test_the_optimizer_is_counted_as_claimed():
    model, count = Transformer(Config(**(LLAMA | dict(d_model=128, d_ff=64, vocab_size=64)))), Count()      # no padding between its parameters
    model.params.flat[...] = 1
    flat, grads, m, v = (count.watched(x) for x in (model.params.flat, model.params.zeros().flat + 1, *(model.params.zeros().flat for _ in "mv")))
    with count.phase("optimizer"):
        _, scale = updates.clip(grads, max_norm=1.0, in_place=False)
        updates.adamw(flat, grads, m, v, 1, 0.1, decayed=model.params.num_matrix_numbers, grad_scale=scale)
    assert flat.size == model.config.num_parameters()
    chunks = -(-flat.size // updates.CHUNK)
    assert count.by_phase["optimizer"].elementwise == adamw(model.config, clipped=True).elementwise, f"{chunks} chunks"
