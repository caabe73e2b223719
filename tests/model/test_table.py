"""The table of operations is handed in: what stands in it is what runs, everywhere, and a watcher in it sees everything."""

import numpy as np
import pytest

from minillm.checks import guarded
from minillm.model import Bigram
from minillm.ops import RECIPES, REFERENCE, Ops

from .small import FIRST, GPT2, LLAMA, batch, distance, same_bits, small


class Zeros:
    """An operation whose outputs are all zero, and whose gradients are those of the real one."""

    def __init__(self, op):
        self.op, self.flops = op, op.flops

    def forward(self, *arrays, **options):
        y, cache = self.op.forward(*arrays, **options)
        return (tuple(0 * part for part in y) if isinstance(y, tuple) else 0 * y), cache

    def backward(self, dy, cache, **options):
        return self.op.backward(dy, cache, **options)


# Every primitive of the table, and a model that uses it. softmax and silu are never called by name: they are inside attention and swiglu.
USERS = {
    "linear": LLAMA, "embedding": LLAMA, "rmsnorm": LLAMA, "rope": LLAMA, "softmax": LLAMA, "silu": LLAMA, "cross_entropy": LLAMA,
    "layernorm": GPT2, "learned_positions": GPT2, "gelu": GPT2,
    "sinusoidal": FIRST, "relu": FIRST,
    "dropout": LLAMA | dict(dropout=0.2),
}
OPTIONS = dict(dropout_key=1)


def loss_with(shape, **changes):
    return small(shape, ops=REFERENCE.replace(**changes)).forward(*batch(), **OPTIONS)[0]


def test_no_primitive_is_left_out():
    assert sorted(USERS) == sorted(set(Ops.names()) - set(RECIPES))


@pytest.mark.parametrize("name, shape", USERS.items(), ids=USERS)
def test_zeroing_a_primitive_changes_the_loss(name, shape):
    right = small(shape).forward(*batch(), **OPTIONS)[0]
    zeroed = loss_with(shape, **{name: Zeros(getattr(REFERENCE, name))})
    assert abs(zeroed - right) > 1e-3, f"{name} can be zeroed, and the loss stays {right}: the model doesn't use the table's {name}"


@pytest.mark.parametrize("name, shape", [("attention", LLAMA), ("swiglu", LLAMA), ("linear_cross_entropy", LLAMA), ("add_rmsnorm", LLAMA),
                                         ("add_layernorm", GPT2)])
def test_a_fused_operation_that_is_given_itself_is_what_runs(name, shape):
    fused = Zeros(getattr(REFERENCE, name))
    assert abs(loss_with(shape, **{name: fused}) - small(shape).forward(*batch(), **OPTIONS)[0]) > 1e-3


@pytest.mark.parametrize("shape", [LLAMA, GPT2, FIRST], ids=["llama", "gpt2", "first"])
def test_composing_all_fused_operations_anew_changes_nothing_but_rounding(shape):
    parts = {part for recipe in RECIPES.values() for part in recipe.parts}
    composed = small(shape, ops=REFERENCE.replace(**{part: getattr(REFERENCE, part) for part in parts}))
    model = small(shape)
    assert composed.ops.attention is not REFERENCE.attention
    (loss, grads), (other, others) = model.loss_and_grads(*batch()), composed.loss_and_grads(*batch())
    assert abs(loss - other) < 1e-12 and distance(others, grads) < 1e-10


def test_the_logits_come_from_the_table_too():
    tokens, _ = batch()
    assert (small(ops=REFERENCE.replace(linear=Zeros(REFERENCE.linear)))(tokens) == 0).all()


def test_a_bigram_runs_on_a_table():
    ops = REFERENCE.replace(embedding=Zeros(REFERENCE.embedding))
    assert abs(Bigram(11, ops=ops).forward(*batch())[0] - np.log(11)) < 1e-6


# --- the guarded table ---------------------------------------------------------------------------------------------------------

def test_a_guard_changes_no_bit():
    plain, watched = small(dtype="float32"), small(dtype="float32", ops=guarded(REFERENCE))
    (loss, grads), (same, others) = plain.loss_and_grads(*batch()), watched.loss_and_grads(*batch())
    assert loss == same and same_bits(grads, others) == []


WHERE = {
    # the planted NaN: (the shape, what must be said)
    "embedding.weight": (LLAMA, ["embedding: embedding.forward made float64 (2, 5, 6)"]),
    "layers.1.value.weight": (LLAMA, ["layers.1: linear.forward made float64 (2, 5, 4)", "output 0", "already bad"]),
    "layers.0.feed_forward_norm.weight": (LLAMA, ["layers.0: add_rmsnorm.forward made float64 (2, 5, 6)", "output 1"]),
    "layers.1.down.bias": (GPT2, ["layers.1: linear.forward made float64 (2, 5, 6)", "10 NaN"]),
    "positions.weight": (GPT2, ["embedding: learned_positions.forward made"]),
    "final_norm.weight": (LLAMA, ["final_norm: rmsnorm.forward"]),
    "output.weight": (LLAMA, ["loss: linear_cross_entropy.forward"]),
    "layers.1.attention_norm.bias": (FIRST, ["layers.1: layernorm.forward made"]),
}


@pytest.mark.parametrize("name", WHERE)
def test_the_first_nan_is_named_with_operation_layer_and_array(name):
    shape, words = WHERE[name]
    model = small(shape, ops=guarded(REFERENCE))
    model.params[name].reshape(-1)[2 if name != "embedding.weight" else slice(None)] = np.nan
    with pytest.raises(FloatingPointError) as told:
        model.forward(*batch())
    assert [word for word in words if word not in str(told.value)] == [], str(told.value)


class PoisonedBackward(Zeros):
    """The real forward, and gradients of infinite size."""

    def forward(self, *arrays, **options):
        return self.op.forward(*arrays, **options)

    def backward(self, dy, cache, **options):
        return tuple(gradient * np.inf for gradient in self.op.backward(dy, cache, **options))


@pytest.mark.parametrize("recompute", [False, True])
def test_an_infinite_gradient_is_named_with_the_layer_that_backward_comes_to_first(recompute):
    ops = guarded(REFERENCE.replace(swiglu=PoisonedBackward(REFERENCE.swiglu)))
    sentence = r"layers.1: swiglu.backward made .* gradient 0; its inputs were finite"
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=sentence):
        small(ops=ops).loss_and_grads(*batch(), recompute=recompute)


def test_the_nan_in_the_logits_is_placed_too():
    model = small(ops=guarded(REFERENCE))
    model.params["output.weight"][3, 1] = np.nan
    with pytest.raises(FloatingPointError, match="output: linear.forward"):
        model(batch()[0])
