"""The logits of whole models, against a decoder written as plainly as can be: one text, one position, one head, one number at a time."""

from math import cos, erf, exp, pi, sin, sqrt, tanh

import numpy as np
import pytest

from minillm.ops.rope import LinearScaling, Llama3Scaling

from .small import FIRST, GPT2, LLAMA, batch, small


def plain_logits(w, config, text, documents):
    t = len(text)

    def linear(x, name):
        return x @ w[f"{name}.weight"] + w.get(f"{name}.bias", 0)

    def norm(x, name):
        if config.norm == "rmsnorm":
            return x / sqrt((x**2).mean() + config.norm_eps) * w[f"{name}.weight"]
        return (x - x.mean()) / sqrt(x.var() + config.norm_eps) * w[f"{name}.weight"] + w.get(f"{name}.bias", 0)

    def turned(head, position):
        if config.positions != "rope":
            return head
        e, y = config.head_size, np.zeros(config.head_size)
        for j in range(e // 2):
            one, two = (j, j + e // 2) if config.rope_pairing == "half" else (2 * j, 2 * j + 1)
            angle = position * slowed(config.rope_theta ** (-2 * j / e))
            y[one], y[two] = head[one] * cos(angle) - head[two] * sin(angle), head[one] * sin(angle) + head[two] * cos(angle)
        return y

    def slowed(f):
        scaling = config.rope_scaling
        if isinstance(scaling, LinearScaling):
            return f / scaling.factor
        if isinstance(scaling, Llama3Scaling):
            kept = (scaling.original_max_seq_len * f / (2 * pi) - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
            kept = min(max(kept, 0), 1)
            return kept * f + (1 - kept) * f / scaling.factor
        return f

    def attention(xs, layer):
        e, group = config.head_size, config.num_heads // config.num_kv_heads
        q, k, v = ([linear(x, f"{layer}.{name}").reshape(-1, e) for x in xs] for name in ("query", "key", "value"))
        ys = []
        for i in range(t):
            seen = [j for j in range(i + 1) if i - j < (config.sliding_window or t) and documents[i] == documents[j]]
            heads = []
            for head in range(config.num_heads):
                weights = np.array([exp(turned(q[i][head], i) @ turned(k[j][head // group], j) / sqrt(e)) for j in seen])
                heads.append(weights / weights.sum() @ np.array([v[j][head // group] for j in seen]))
            ys.append(linear(np.concatenate(heads), f"{layer}.attention_output"))
        return ys

    def feed_forward(x, layer):
        up = linear(x, f"{layer}.up")
        if config.feed_forward == "swiglu":
            h = np.array([g / (1 + exp(-g)) for g in linear(x, f"{layer}.gate")]) * up
        else:
            h = np.array([{"relu": lambda u: max(u, 0), "gelu": lambda u: u * (1 + erf(u / sqrt(2))) / 2,
                           "gelu_tanh": lambda u: u * (1 + tanh(sqrt(2 / pi) * (u + 0.044715 * u**3))) / 2}[config.feed_forward](u) for u in up])
        return linear(h, f"{layer}.down")

    xs = [w["embedding.weight"][token] for token in text]
    if config.positions == "learned":
        xs = [x + w["positions.weight"][i] for i, x in enumerate(xs)]
    if config.positions == "sinusoidal":
        waves = [[(sin, cos)[c % 2](i / 10000 ** (c // 2 * 2 / config.d_model)) for c in range(config.d_model)] for i in range(t)]
        xs = [x + wave for x, wave in zip(xs, np.array(waves), strict=True)]
    for layer in (f"layers.{i}" for i in range(config.num_layers)):
        if config.norm_position == "pre":
            xs = [x + a for x, a in zip(xs, attention([norm(x, f"{layer}.attention_norm") for x in xs], layer), strict=True)]
            xs = [x + feed_forward(norm(x, f"{layer}.feed_forward_norm"), layer) for x in xs]
        else:
            xs = [norm(x + a, f"{layer}.attention_norm") for x, a in zip(xs, attention(xs, layer), strict=True)]
            xs = [norm(x + feed_forward(x, layer), f"{layer}.feed_forward_norm") for x in xs]
    if config.norm_position == "pre":
        xs = [norm(x, "final_norm") for x in xs]
    return np.array(xs) @ w["embedding.weight" if config.tied else "output.weight"].T


LARGE_EPS = dict(norm_eps=0.3)                  # so large that its place in the formula shows
DOCUMENTS = np.array([[0, 0, 0, 1, 1, 1], [5, 5, 2, 2, 2, 3]])
CASES = {
    "llama": (LLAMA, LARGE_EPS | dict(num_heads=4, num_kv_heads=2), None),
    "llama, tied, biases": (LLAMA, dict(tied=True, attention_bias=True, feed_forward_bias=True), None),
    "llama, window": (LLAMA, dict(sliding_window=3), None),
    "llama, documents": (LLAMA, {}, DOCUMENTS),
    "llama, interleaved": (LLAMA, dict(rope_pairing="interleaved", rope_theta=100.0), None),
    "llama, linear scaling": (LLAMA, dict(rope_scaling=LinearScaling(4.0)), None),
    "llama, llama3 scaling": (LLAMA, dict(head_size=8, rope_theta=300.0, rope_scaling=Llama3Scaling(8.0, 0.3, 2.0, 30)), None),
    "gpt2": (GPT2, LARGE_EPS, None),
    "gpt2, untied, exact gelu, documents, window": (GPT2, dict(tied=False, feed_forward="gelu", sliding_window=2), DOCUMENTS),
    "the first transformer": (FIRST, LARGE_EPS, None),
    "post-norm, rmsnorm, swiglu, odd width": (FIRST, dict(norm="rmsnorm", norm_bias=False, feed_forward="swiglu", d_model=7, head_size=3), None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_logits_are_those_of_plain_loops(name):
    shape, changes, documents = CASES[name]
    model, (tokens, _) = small(shape, scale=0.8, **changes), batch(2, 6)
    logits = model(tokens, documents=documents)
    for row, text in enumerate(tokens):
        expected = plain_logits(model.params, model.config, text, [0] * 6 if documents is None else documents[row])
        np.testing.assert_allclose(logits[row], expected, rtol=1e-9, atol=1e-11)
