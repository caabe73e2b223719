"""A reference that was written for an exercise does what the library does."""

import numpy as np
import pytest
from minillm import Config, ops
from minillm.checks import gradient_check
from minillm.exercises import attention_head, block_backward, grouped_attention, load, rope, swiglu
from minillm.exercises.solutions import solution
from minillm.grading import child
from minillm.model.block import PreNormBlock
from minillm.model.branches import Context


def agree(mine, theirs, dy, *arrays, mine_too=(), theirs_too=()):
    y, cache = mine.forward(*arrays, *mine_too)
    expected, their_cache = theirs.forward(*arrays, *theirs_too)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    gradients, others = mine.backward(dy, cache), theirs.backward(dy, their_cache)
    assert len(gradients) == len(others)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("h, k", [(3, 3), (6, 2), (4, 1)])
def test_grouped_attention(h, k):
    rng = np.random.default_rng(h)
    q, keys, v, dy = (rng.normal(size=(2, 5, n, 4)) for n in (h, k, k, h))
    agree(grouped_attention, ops.attention, dy, q, keys, v)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_head(causal):
    class OneHead:
        """The library's attention for a batch of one text and one head."""
        def forward(*arrays):
            y, cache = ops.attention.forward(*(x[None, :, None] for x in arrays), causal=causal)
            return y[0, :, 0], cache

        def backward(dy, cache):
            return tuple(x[0, :, 0] for x in ops.attention.backward(dy[None, :, None], cache))

    rng = np.random.default_rng(0)
    agree(attention_head, OneHead, *(rng.normal(size=(5, 4)) for _ in range(4)), mine_too=(causal,))


def test_rope():
    rng = np.random.default_rng(0)
    agree(rope, ops.rope, rng.normal(size=(2, 4, 3, 6)), rng.normal(size=(2, 4, 3, 6)), np.array([5, 0, 2, 9]), mine_too=(500.0,),
          theirs_too=(500.0,))


def test_swiglu():
    rng = np.random.default_rng(0)
    agree(swiglu, ops.REFERENCE.swiglu, *(rng.normal(size=(2, 4, 3)) for _ in range(3)))


def test_layernorm_model_answer():
    rng = np.random.default_rng(0)
    agree(child.module("answer", solution("layernorm"), "<answer>"), ops.layernorm, rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 5)),
          *rng.normal(size=(2, 5)))


def block_inputs(rng):
    values = block_backward.inputs(rng, 2, 4, 4, 2, 4, 10)
    values["positions"] = values["positions"] - values["positions"][0]
    return values


def test_block_is_the_library_s():
    """On the library's own operations; the library's names have ".weight", and its width must be h·e."""
    rng, d = np.random.default_rng(0), 16
    config = Config(vocab_size=8, d_model=d, num_layers=1, num_heads=4, num_kv_heads=2, d_ff=10, max_seq_len=8, norm_eps=1e-5, rope_theta=10_000.0)
    shapes = {"query": (d, d), "key": (d, 8), "value": (d, 8), "attention_output": (d, d), "gate": (d, 10), "up": (d, 10), "down": (10, d)}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()} | {name: rng.normal(1, 0.3, d) for name in ("attention_norm",
        "feed_forward_norm")}
    x, dy = rng.normal(size=(2, 2, 5, d))
    y, cache = block_backward.forward(x, params, np.arange(5), 4, ops.REFERENCE)
    dx, grads = block_backward.backward(dy, cache, ops.REFERENCE)

    block, theirs = PreNormBlock(config, ops.REFERENCE, 0), {f"{name}.weight": value for name, value in params.items()}
    collected = {name: np.zeros_like(value) for name, value in theirs.items()}
    expected, their_cache = block.forward(x, theirs, Context())
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(dx, block.backward(dy, their_cache, collected), rtol=1e-10)
    assert grads.keys() == params.keys()
    for name in grads:
        np.testing.assert_allclose(grads[name], collected[f"{name}.weight"], rtol=1e-10, err_msg=name)


def test_block_gradients_are_the_slopes():
    """With the operations as they are handed in."""
    handed_in = child.module("ops", block_backward.handed_in(), "<ops>")
    values = block_inputs(np.random.default_rng(1))

    class Block:
        def forward(x, query, value, gate, norm):
            params = values["params"] | {"query": query, "value": value, "gate": gate, "feed_forward_norm": norm}
            return block_backward.forward(x, params, values["positions"], values["e"], handed_in)

        def backward(dy, cache):
            dx, grads = block_backward.backward(dy, cache, handed_in)
            return dx, grads["query"], grads["value"], grads["gate"], grads["feed_forward_norm"]

    report = gradient_check(Block, values["x"], *(values["params"][name] for name in ("query", "value", "gate", "feed_forward_norm")), entries=40)
    assert report.ok, report


@pytest.mark.parametrize("name", ["attention_head", "grouped_attention", "swiglu"])
def test_gradients_are_the_slopes(name):
    values = next(iter(load(name).checks[0].cases(np.random.default_rng(2)))).values
    module = {"attention_head": attention_head, "grouped_attention": grouped_attention, "swiglu": swiglu}[name]
    report = gradient_check(module, *(value for value in values.values() if isinstance(value, np.ndarray)))
    assert report.ok, report


def test_what_a_block_is_handed_are_operations_of_earlier_assignments():
    """Else a class would be handed what it is asked to write."""
    asked = load("block_backward").assignment
    assert {load(name).assignment < asked for name in block_backward.HANDED_IN.values()} == {True}
