"""The hand-written backward of whole models against numerical slopes: every parameter of every kind of decoder.

In float64, with weights of order 1 and odd, unequal sizes. What mathematics says is zero is listed, and everything else must not be.
Every parameter is measured in each case: ten numbers of each of its tensors, and in the three FULL cases all of them.
"""

import numpy as np
import pytest

from minillm.checks import gradient_check
from minillm.ops.rope import LinearScaling, Llama3Scaling

from .small import FIRST, GPT2, LLAMA, batch, small

DOCUMENTS = np.array([[0, 0, 1, 1, 1], [3, 3, 3, 3, 2]])
MHA = dict(num_heads=3, num_kv_heads=3, head_size=2)
GQA = dict(num_heads=4, num_kv_heads=2, head_size=2)
BIASES = dict(attention_bias=True, feed_forward_bias=True)

# name: (shape, changes, options of forward, (b, t))
CASES = {
    "llama, multi-query": (LLAMA, {}, {}, (2, 5)),
    "llama, multi-head, head size given": (LLAMA, MHA | dict(head_size=4), {}, (2, 5)),
    "llama, grouped, tied": (LLAMA, GQA | dict(tied=True), {}, (2, 5)),
    "llama, biases everywhere": (LLAMA, BIASES | MHA | dict(norm="layernorm", norm_bias=True), {}, (2, 5)),
    "llama, recomputed, dropout": (LLAMA, GQA | dict(dropout=0.3), dict(dropout_key=11, recompute=True), (2, 5)),
    "llama, window of 2": (LLAMA, dict(sliding_window=2), {}, (1, 6)),
    "llama, documents": (LLAMA, dict(), dict(documents=DOCUMENTS), (2, 5)),
    "llama, interleaved, linear scaling": (LLAMA, dict(rope_pairing="interleaved", rope_scaling=LinearScaling(3.0)), {}, (2, 4)),
    "llama, llama3 scaling": (LLAMA, dict(rope_theta=50.0, rope_scaling=Llama3Scaling(4.0, 0.2, 1.0, 8)), {}, (2, 5)),
    "llama, z-loss and label smoothing": (LLAMA, dict(tied=True), dict(z_loss=0.1, label_smoothing=0.2), (2, 5)),
    "llama, a slice of a larger batch": (LLAMA, dict(dropout=0.2), dict(denominator=23, first_row=3, dropout_key=5), (2, 5)),
    "llama, one token": (LLAMA, dict(), {}, (2, 1)),
    "llama, one token, biases, recomputed": (LLAMA, BIASES, dict(recompute=True), (3, 1)),
    "llama, post-norm": (LLAMA, dict(norm_position="post"), {}, (2, 5)),
    "llama with learned positions": (LLAMA, dict(positions="learned") | BIASES, {}, (2, 5)),
    "gpt2": (GPT2, {}, {}, (2, 5)),
    "gpt2, untied, exact gelu, grouped, odd head size": (GPT2, dict(tied=False, feed_forward="gelu", num_kv_heads=1, head_size=3), {}, (2, 5)),
    "gpt2, dropout": (GPT2, dict(dropout=0.3), dict(dropout_key=7), (2, 5)),
    "gpt2, recomputed, dropout": (GPT2, dict(dropout=0.3), dict(dropout_key=7, recompute=True), (2, 5)),
    "gpt2, one token": (GPT2, {}, {}, (3, 1)),
    "gpt2, documents, window": (GPT2, dict(sliding_window=2), dict(documents=DOCUMENTS), (2, 5)),
    "gpt2, no biases": (GPT2, dict(norm_bias=False, attention_bias=False, feed_forward_bias=False), {}, (2, 5)),
    "the first transformer": (FIRST, {}, {}, (2, 5)),
    "the first transformer, dropout, recomputed": (FIRST, dict(dropout=0.3, tied=False), dict(dropout_key=7, recompute=True), (2, 5)),
    "pre-norm with relu and sinusoidal positions, rmsnorm": (
        GPT2, dict(norm="rmsnorm", norm_bias=False, positions="sinusoidal", feed_forward="relu", num_layers=3), {}, (2, 4)),
}

FULL = "llama, multi-query", "gpt2", "the first transformer"


def zero_by_mathematics(config, t):
    """A single key gets all the attention, whatever query and key are. And what is added to every key alike (their bias; RoPE
    would turn it differently at each) adds the same to all scores of a query, which softmax ignores."""
    parts = ["query.weight", "key.weight", "query.bias", "key.bias"] if t == 1 else ["key.bias"] if config.positions != "rope" else []
    return tuple(f"layers.{i}.{part}" for i in range(config.num_layers) for part in parts if part in config.layer_shapes())


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_is_the_slope_of_the_loss(name, unchecked):
    shape, changes, options, (b, t) = CASES[name]
    model = small(shape, scale=0.8, **changes)
    tokens, targets = batch(b, t, ignored=min(2, t - 1))
    report = gradient_check(model, tokens, targets, zeros=zero_by_mathematics(model.config, t), step=2e-6, entries=None if name in FULL else 10, **options)
    assert {row.name for row in report.rows} == set(model.params)
    assert report.ok, f"{name}\n{report}"


def test_the_cases_cover_every_choice_of_a_config():
    """Whoever adds a choice must check its gradient too."""
    configs = [small(shape, **changes).config for shape, changes, _, _ in CASES.values()]
    for field, choices in dict(norm=2, norm_position=2, norm_bias=2, positions=3, rope_pairing=2, feed_forward=4, attention_bias=2,
                               feed_forward_bias=2, sliding_window=2, tied=2, rope_scaling=3).items():
        assert len({getattr(config, field) for config in configs}) == choices, field


def test_a_wrong_gradient_would_be_seen(unchecked):
    """The check itself: one part in a thousand of one small bias."""
    model = small(GPT2, scale=0.8)
    right = model.backward

    def wrong(cache, into=None):
        grads = right(cache, into)
        grads["layers.0.value.bias"][...] *= 1.001
        return grads

    model.backward = wrong
    report = gradient_check(model, *batch(), zeros=zero_by_mathematics(model.config, 5), entries=6)
    assert [row.name for row in report.rows if row.verdict] == ["layers.0.value.bias"]
