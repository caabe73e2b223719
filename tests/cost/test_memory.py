"""Bytes by formula, against what the caches really hold, what Python really allocates, and what a process really uses."""

import gc
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.arrays import num_threads, set_num_threads
from minillm.cost import held, memory
from minillm.cost.memory import PRECISIONS, activations, states
from minillm.generation.cache import KVCache
from minillm.model import Config, Transformer
from minillm.ops import REFERENCE
from minillm.ops.plain_attention import PlainAttention
from minillm.training.step import Gradients, loss_and_grads
from model.small import FIRST, GPT2, LLAMA, batch

STORED = REFERENCE.replace(attention=PlainAttention(REFERENCE.softmax))
DOUBLE = memory.Precision(8, 8, 0, 16, 8)
OF_DTYPE = {"float32": PRECISIONS["fp32"], "float16": PRECISIONS["fp16"], "bfloat16": PRECISIONS["bf16"], "float64": DOUBLE}


@st.composite
def configs(draw):
    family = draw(st.sampled_from([LLAMA, GPT2, FIRST]))
    kv_heads, head_size = draw(st.sampled_from([1, 2])), draw(st.sampled_from([2, 4, 6]))
    changes = dict(vocab_size=draw(st.sampled_from([11, 50])), num_layers=draw(st.integers(1, 3)), num_kv_heads=kv_heads,
                   num_heads=kv_heads * draw(st.sampled_from([1, 2])), head_size=head_size, d_ff=draw(st.sampled_from([3, 8])),
                   tied=draw(st.booleans()), dropout=draw(st.sampled_from([0.0, 0.5])), max_seq_len=20,
                   sliding_window=draw(st.sampled_from([None, 3])))
    return Config(**(family | changes))


# --- activations ---------------------------------------------------------------------------------------------------------------

@given(configs(), st.integers(1, 3), st.integers(1, 9), st.sampled_from(list(OF_DTYPE)), st.booleans(), st.booleans())
@settings(max_examples=100)
def test_activations_by_formula_are_the_bytes_that_the_caches_hold(config, b, t, dtype, recompute, documents):
    model = Transformer(config, dtype=dtype)
    more = {"documents": np.zeros((b, t), int)} if documents else {}
    _, cache = model.forward(*batch(b, t), recompute=recompute, dropout_key=1, **more)
    assert held(cache).by_op == activations(config, b, t, OF_DTYPE[dtype], recompute, documents=documents)


@given(configs(), st.integers(1, 3), st.integers(2, 9), st.sampled_from(list(OF_DTYPE)))
@settings(max_examples=30)
def test_stored_attention_holds_a_matrix_of_probabilities_for_each_head(config, b, t, dtype):
    _, cache = Transformer(config, dtype=dtype, ops=STORED).forward(*batch(b, t))
    assert held(cache).by_op == activations(config, b, t, OF_DTYPE[dtype], attention="stored")


def test_sixteen_numbers_a_channel_in_a_gpt_layer():
    """Korthikanti's 34 bytes are 17 numbers of 2 bytes: the same 16, and masks of dropout, which ours makes anew."""
    config, b, t = Config.preset("gpt3-175b"), 2, 2048
    block = memory.block_activations(config, b, t, PRECISIONS["fp32"])
    rows = b * t
    assert sum(block.values()) == 4 * rows * (16 * config.d_model + config.num_heads + 2 * 2)


def test_the_published_formula_gives_the_published_figures():
    config = Config.preset("gpt3-175b")
    layer = memory.korthikanti(config, 1, 2048)
    assert round(layer / 1e9, 3) == 2.869 and round(96 * layer / 1e9) == 275
    stored, rest = 5 * config.num_heads * 2048**2, 34 * 2048 * config.d_model
    assert stored / (2048 * config.d_model) == 80, "5 a s / h"
    assert round(stored / (stored + rest), 2) == 0.70, "what selective recomputation saves"


def test_recompute_keeps_one_vector_for_each_token_and_layer():
    config = Config.preset("llama3-8b")
    assert activations(config, 1, 8192, PRECISIONS["bf16"], recompute=True)["block input"] == 32 * 8192 * 4096 * 2


# --- states ----------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_the_example_of_the_zero_paper(stage, gigabytes):
    found = sum(states(7_500_000_000, PRECISIONS["fp16"], stage, 64).values()) / 1e9
    assert round(found, 1) == gigabytes


@pytest.mark.parametrize(("name", "each"), [("fp32", 16), ("bf16", 18), ("fp16", 16)])
def test_bytes_for_each_parameter(name, each):
    assert PRECISIONS[name].training == each
    assert sum(states(1000, PRECISIONS[name]).values()) == 1000 * each


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_states_are_what_a_trainer_holds(dtype):
    """Padding aside: a model's masters and, in 16 bits, the copy it computes with; a gradient; two moments."""
    model = Transformer(Config.preset("llama-nano"), dtype=dtype)
    gradients = Gradients(model.params)
    arrays = [model.params, gradients.total, model.params.zeros(), model.params.zeros()]
    arrays += [model.computing_params()] if dtype == "bfloat16" else []
    really = sum(view.nbytes for params in arrays for view in params.values())
    assert really == sum(states(model.config.num_parameters(), OF_DTYPE[dtype]).values())


def test_int8_can_be_run_and_not_trained():
    with pytest.raises(ValueError, match="can be run, not trained"):
        states(1000, PRECISIONS["int8"])
    config = Config(vocab_size=10, d_model=4, num_layers=1, num_heads=1, d_ff=6, max_seq_len=8)
    matrices, vectors = 2 * 10 * 4 + 4 * 4 * 4 + 3 * 4 * 6, 3 * 4
    columns = 10 + 10 + 4 * 4 + 6 + 6 + 4                       # a scale for each word of the two tables, and for each output elsewhere
    assert memory.weights(config, PRECISIONS["int8"]) == matrices + 4 * columns + 4 * vectors
    assert memory.weights(config, PRECISIONS["bf16"]) == 2 * config.num_parameters()


@pytest.mark.parametrize(("t", "window"), [(9, None), (9, 4), (3, 4)])
def test_the_cache_of_keys_and_values_is_as_large_as_it_is_said_to_be(t, window):
    config = Config(**(LLAMA | dict(num_heads=4, num_kv_heads=2, sliding_window=window)))
    cache = KVCache(config, [0, 0, 0], t)
    assert cache.keys.nbytes + cache.values.nbytes == memory.kv_cache(config, 3, t, PRECISIONS["fp32"])


def test_nonsense_gets_a_sentence():
    with pytest.raises(ValueError, match="stages 0"):
        states(10, PRECISIONS["fp32"], zero=4)
    with pytest.raises(ValueError, match="no precision 'fp64'; there are fp32"):
        memory.precision_named("fp64")


# --- temporary arrays and the peak -------------------------------------------------------------------------------------------------

PEAKS = [                                        # family, b, t, head size, key heads, d_ff ÷ d, vocabulary, recompute
    (LLAMA, 2, 64, 64, 1, 3, 100, False), (LLAMA, 4, 128, 32, 2, 3, 3000, True), (LLAMA, 2, 256, 64, 1, 1, 8000, False),
    (LLAMA | dict(sliding_window=40), 4, 256, 16, 4, 1, 100, True), (GPT2, 2, 200, 32, 4, 4, 100, True),
    (GPT2 | dict(feed_forward="gelu"), 4, 128, 32, 2, 4, 100, False), (FIRST, 2, 256, 32, 4, 4, 3000, False),
]


@pytest.mark.parametrize("case", PEAKS)
def test_the_peak_of_a_slice_is_predicted(case, unchecked):
    """Within 7 %, of what Python allocates on the way through forward and backward."""
    family, b, t, head_size, kv_heads, wide, vocab_size, recompute = case
    num_heads = kv_heads * (1 if family.get("tied") else 2)
    d = num_heads * head_size
    config = Config(**(family | dict(vocab_size=vocab_size, d_model=d, num_layers=2, num_heads=num_heads, num_kv_heads=kv_heads,
                                     head_size=head_size, d_ff=wide * d, max_seq_len=256)))
    model = Transformer(config)
    into, (tokens, targets) = model.params.zeros(), batch(b, t, vocab_size)
    predicted = sum(activations(config, b, t, recompute=recompute, token_bytes=0).values()) + memory.temporary(config, b, t, recompute=recompute)
    assert predicted == pytest.approx(peak(lambda: model.loss_and_grads(tokens, targets, into=into, recompute=recompute)), rel=0.07)


@pytest.mark.parametrize("recompute", [False, True])
def test_the_peak_with_stored_attention(recompute, unchecked):
    config = Config(**(GPT2 | dict(d_model=64, num_heads=8, num_kv_heads=8, d_ff=64, max_seq_len=500)))
    model, (tokens, targets) = Transformer(config, ops=STORED), batch(1, 500)
    into = model.params.zeros()
    predicted = (sum(activations(config, 1, 500, recompute=recompute, attention="stored", token_bytes=0).values())
                 + memory.temporary(config, 1, 500, recompute=recompute, attention="stored"))
    assert predicted == pytest.approx(peak(lambda: model.loss_and_grads(tokens, targets, into=into, recompute=recompute)), rel=0.07)


def peak(function) -> int:
    """Bytes that it has allocated at its highest, and at the second call, since the first makes what is only made once."""
    function()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_micro_batches_are_held_one_at_a_time(unchecked):
    config = Config(vocab_size=64, d_model=64, num_layers=6, num_heads=4, d_ff=128, max_seq_len=64)
    model = Transformer(config)
    gradients, (tokens, targets), before = Gradients(model.params), batch(8, 64, 64), num_threads()
    set_num_threads(1)
    try:
        whole, quarters = (peak(lambda: loss_and_grads(model, tokens, targets, gradients, micro_batches=n)) for n in (1, 4))
        predicted = {n: memory.of_step(config, 8, 64, micro_batches=n) for n in (1, 4)}
    finally:
        set_num_threads(before)
    for really, n in ((whole, 1), (quarters, 4)):
        assert sum(predicted[n][part] for part in ("activations", "temporary")) == pytest.approx(really, rel=0.1)
    assert quarters < 0.3 * whole


def test_slices_of_unequal_size_are_held_side_by_side():
    config = Config(**LLAMA)
    one, two = (sum(activations(config, rows, 7, token_bytes=0).values()) for rows in (1, 2))
    assert memory.of_step(config, 3, 7, threads=2)["activations"] == one + two
    assert memory.of_step(config, 3, 7, threads=2, micro_batches=3)["activations"] == one, "a single thread's slices follow one another"
    assert memory.of_step(config, 1, 7, threads=8) == memory.of_step(config, 1, 7)


SIZES = {
    "small": (dict(vocab_size=512, d_model=256, num_layers=4, num_heads=4, d_ff=688, max_seq_len=128), 16, {}),
    "one thread": (dict(vocab_size=4096, d_model=384, num_layers=6, num_heads=6, num_kv_heads=2, d_ff=1024, max_seq_len=256), 8, {"threads": 1}),
    "recompute": (dict(vocab_size=4096, d_model=384, num_layers=6, num_heads=6, num_kv_heads=2, d_ff=1024, max_seq_len=256), 8, {"recompute": True}),
    "micro-batches": (dict(vocab_size=4096, d_model=384, num_layers=6, num_heads=6, num_kv_heads=2, d_ff=1024, max_seq_len=256), 16,
                      {"micro_batches": 2}),
    "GPT-2's kind": (GPT2 | dict(vocab_size=8192, d_model=512, num_layers=8, num_heads=8, d_ff=2048, max_seq_len=256), 4, {}),
    "100 million": (dict(vocab_size=8192, d_model=768, num_layers=12, num_heads=12, d_ff=2048, max_seq_len=512), 2, {}),
}

@pytest.mark.skipif(sys.platform != "linux", reason="the highest resident size of a process is read from /proc")
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "small" else pytest.mark.slow) for name in SIZES])
def test_the_peak_of_a_training_step_is_predicted_within_10_percent_of_what_the_process_uses(name):
    shape, rows, options = SIZES[name]
    options = {"threads": 2, "micro_batches": 1, "recompute": False} | options
    script = Path(__file__).parents[2] / "benchmarks" / "memory.py"
    command = [sys.executable, script, "--measure", json.dumps([shape, rows, *options.values()])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    predicted = memory.of_step(Config(**shape), rows, shape["max_seq_len"], **options)
    assert sum(predicted.values()) == pytest.approx(int(done.stdout), rel=0.1), f"predicted: {predicted}"
