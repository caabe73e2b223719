"""What backward is holding, against counts by hand and against what Python really keeps allocated."""

import doctest
import gc
import tracemalloc

import numpy as np
import pytest

import minillm.cost.activations
from minillm.cost import held
from minillm.model import Bigram, Config, Transformer
from model.small import FIRST, GPT2, LLAMA, batch, small

FLOAT, INT = 8, 8       # bytes of a float64, and of a token
B, T, V = 2, 5, 11


def kept(model, **options):
    return held(model.forward(*batch(B, T), **options)[1])


def test_the_examples_in_the_docstring_are_true():
    assert doctest.testmod(minillm.cost.activations) == (0, 10)


def test_a_llama_by_hand():
    """x shared by query, key and value counts once; so does attention's output, which the next matrix reads."""
    d, f, h, k, e, layers, rows = 6, 5, 4, 2, 2, 3, B * T
    model = small(LLAMA, num_heads=h, num_kv_heads=k, head_size=e, num_layers=layers)
    numbers = {
        "linear": layers * rows * (d + d + f),                                           # into query, into up, into down
        "attention": layers * rows * (h * e + 2 * k * e + h * e + h),                    # q, k, v, y, and the log-sum-exp
        "activation": layers * rows * 3 * f,                                             # gate, up, silu(gate)
        "norm": (2 * layers + 1) * rows * (d + 1),                                       # x, and a number a row
        "rope": layers * 2 * 2 * T * e // 2,                                             # cos and sin, for q and for k
        "embedding": rows,                                                               # the tokens
        "loss": rows * d + V * d,                                                        # dx and dw, made in forward
    }
    assert kept(model).by_op == {op: n * FLOAT for op, n in numbers.items()}


def test_a_gpt2_by_hand():
    d, f, layers, rows, h = 6, 7, 2, B * T, 2
    numbers = {
        "linear": layers * rows * (d + d + f),
        "attention": layers * rows * (4 * d + h),
        "activation": layers * rows * f,                                                 # gelu's x
        "norm": (2 * layers + 1) * rows * (d + 2),                                       # x, mean, and one over the deviation
        "embedding": rows,
        "loss": rows * d + V * d,
    }
    assert kept(small(GPT2)).by_op == {op: n * FLOAT for op, n in numbers.items()}


def test_one_matrix_holds_its_input_alone():
    by_part = kept(small(LLAMA)).by_part
    rows = B * T * FLOAT
    assert by_part["layers.0.query"] == rows * 6, "x, and neither the weight nor the result"
    assert "layers.0.key" not in by_part and "layers.0.value" not in by_part, "their x is the query's x"
    assert by_part["layers.1.down"] == rows * 5
    assert "layers.0.attention_output" not in by_part, "its x is what attention holds already"


def test_a_views_whole_buffer_is_counted_once():
    buffer = np.zeros(1000)
    cache = {"a": (buffer[:10],), "b": {"c": buffer[500:].reshape(50, 10)}, "d": (np.zeros(3), 1.5, None, "name", np.float64(2))}
    assert held(cache).by_part == {"a": 8000, "d": 24}
    assert held(cache).total == 8024


def test_dropout_holds_nothing_since_its_mask_is_made_anew():
    model = small(LLAMA, dropout=0.5)
    assert kept(model, dropout_key=3).total == kept(model).total


def test_documents_are_counted_once():
    model, documents = small(LLAMA), np.zeros((B, T), int)
    assert kept(model, documents=documents).total == kept(model).total + B * T * INT
    assert kept(model, documents=documents, recompute=True).total == kept(model, recompute=True).total + B * T * INT


@pytest.mark.parametrize("shape", [LLAMA, GPT2, FIRST], ids=["llama", "gpt2", "first"])
def test_recomputing_holds_one_input_for_each_block(shape):
    full, inputs = kept(small(shape, num_layers=6)), kept(small(shape, num_layers=6), recompute=True)
    assert {part: size for part, size in inputs.by_part.items() if part.startswith("layers")} == {
        f"layers.{i}": B * T * 6 * FLOAT for i in range(6)}
    assert inputs.by_op["block input"] == 6 * B * T * 6 * FLOAT
    assert inputs.total < full.total / 3


def test_an_evaluation_holds_nothing():
    assert kept(small(LLAMA), gradients=False).total == 0
    assert kept(small(GPT2), gradients=False, recompute=True).total == 0


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_parameters_are_not_counted(dtype):
    """More parameters in the same places: a larger vocabulary adds to the gradient of the output matrix alone."""
    few, many = (kept(small(GPT2, dtype, vocab_size=v)) for v in (11, 111))
    dw = 100 * 6 * (8 if dtype == "float64" else 4)
    assert many.total - few.total == dw == many.by_part["loss"] - few.by_part["loss"]


def test_16_bit_models_hold_half_the_bytes_in_their_blocks():
    four, two = (kept(small(LLAMA, dtype)).by_op["linear"] for dtype in ("float32", "bfloat16"))
    assert two * 2 == four


def test_a_bigrams_cache_is_counted_too():
    model = Bigram(V, dtype="float64")
    _, cache = model.forward(*batch(B, T))
    rows = B * T
    # tokens; logits, targets, which of them count, and a log-sum-exp
    assert held(cache, model.params).total == rows * INT + rows * V * FLOAT + rows * INT + rows + rows * FLOAT
    assert held(cache).total > held(cache, model.params).total


@pytest.mark.parametrize("shape", [LLAMA, GPT2 | dict(dropout=0.1), FIRST], ids=["llama", "gpt2", "first"])
@pytest.mark.parametrize("recompute", [False, True])
def test_what_is_counted_is_what_python_keeps_allocated(shape, recompute, unchecked):
    sizes = dict(d_model=48, num_heads=4, num_kv_heads=2, head_size=12, d_ff=100, num_layers=4, max_seq_len=32, vocab_size=64)
    model = Transformer(Config(**(shape | sizes)))
    tokens, targets = batch(4, 32, 64)
    options = dict(dropout_key=1, recompute=recompute)
    model.forward(tokens, targets, **options)               # whatever is only made once
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        _, cache = model.forward(tokens, targets, **options)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = held(cache).total - tokens.nbytes              # which were there before
    assert abs(after - before - counted) < 0.03 * counted, f"{after - before:,} bytes are allocated, {counted:,} were counted"
