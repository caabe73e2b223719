"""Generation on a GPU writes what the CPU writes, in steps that are all the same. On the emulator and on the stand-in for CuPy; with
MINILLM_TEST_DEVICE=cuda on a card."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation import MODELS, greedy, model, texts

import minillm
from minillm import cli
from minillm.arrays import bfloat16, on_host
from minillm.checks import guarded
from minillm.generation import stream, stream_text
from minillm.generation.on_gpu import FixedCache, GPUReader, on_kernels
from minillm.generation.reader import Reader
from minillm.kernels import EMULATED
from minillm.kernels.launcher import Launcher
from minillm.ops import REFERENCE
from minillm.training.metrics import read


def emulated(m, dtype="float32"):
    """The same model on emulated kernels."""
    return carried(m, minillm.Transformer(m.config, seed=None, dtype=dtype, ops=EMULATED))


def on_card(m, dtype="float32"):
    """And on the GPU, or its stand-in."""
    return carried(m, minillm.Transformer(m.config, seed=None, dtype=dtype, device="cuda"))


def carried(m, there):
    for name, view in there.params.items():
        view[...] = there.xp.asarray(m.params[name].astype(view.dtype))
    return there


def on_cpu(m):
    """The readable code in float64, with the weights that a model has now."""
    plain = minillm.Transformer(m.config, seed=None, dtype="float64")
    for name, view in plain.params.items():
        view[...] = on_host(m.params[name])
    return plain


@pytest.fixture(params=["emulated", "cuda"])
def there(request):
    """Makes the copy of a model."""
    if request.param == "cuda":
        request.getfixturevalue("gpu")
        return on_card
    return emulated


def assert_close(mine, other, where, tolerance=2e-5):
    error = np.abs(mine.astype(float) - other).max() / np.abs(other).max()
    assert error < tolerance, f"{where}: the logits differ from the uncached ones by {error:.1e} of the largest logit"


def assert_rows_are_right(m, reader, rows, steps, limit, tolerance=2e-5, seed=2):
    """Every row's logits, after every token, are those of a model that reads its text anew; past its context, its last half."""
    views, logits = [list(row) for row in rows], reader.read()
    new = np.array(texts(seed, *[steps + 1] * len(rows))).T.tolist()
    for step in range(steps + 1):
        for i, view in enumerate(views):
            assert_close(logits[i], m(np.array([view]))[0, -1], f"row {i}, step {step}", tolerance)
        if step < steps:
            views = [[*view, token] for view, token in zip(views, new[step], strict=True)]
            views = [view[-(limit // 2):] if limit and len(view) > limit else view for view in views]
            logits = reader.add(new[step])


# --- the same logits -----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", MODELS)
def test_every_row_of_unequal_prompts_is_read_as_if_it_were_alone(name, unchecked):
    m = model(**MODELS[name])
    rows = texts(1, 9, 1, 4)
    assert_rows_are_right(m, GPUReader(emulated(m), rows, room=12), rows, 12, None)


@pytest.mark.parametrize("name", ["grouped-query", "window 3", "learned, window", "sinusoidal"])
def test_and_so_on_a_gpu(name, gpu, unchecked):
    m = model(**MODELS[name])
    rows = texts(1, 9, 1, 4)
    assert_rows_are_right(m, GPUReader(on_card(m), rows, room=12), rows, 12, None)


@pytest.mark.parametrize("changes", [dict(), dict(positions="learned"), dict(positions="sinusoidal", num_kv_heads=1), dict(sliding_window=20),
                                     dict(positions="learned", sliding_window=4)], ids=str)
def test_past_its_context_every_row_forgets_at_its_own_time(changes, there, unchecked):
    m = model(max_seq_len=11, **changes)
    rows = texts(4, 11, 3, 7)
    reader = GPUReader(there(m), rows, room=17)
    assert_rows_are_right(m, reader, rows, 17, 11)
    assert there is emulated or reader.step.mode == "graph", f"replaying was not put to the test: {reader.step.why}"


@given(st.data())
@settings(max_examples=8)
def test_any_window_and_any_lengths_agree_with_the_uncached_model(data):
    window = data.draw(st.none() | st.integers(1, 12), "window")
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3), "lengths")
    changes = data.draw(st.sampled_from([dict(), dict(rope_pairing="interleaved"), dict(positions="learned")]), "positions")
    m = model(sliding_window=window, num_kv_heads=data.draw(st.sampled_from([1, 2, 4]), "key heads"), max_seq_len=10, **changes)
    rows = texts(3, *lengths)
    reader = GPUReader(emulated(m), rows, room=6)
    assert_rows_are_right(m, reader, rows, 6, reader.limit)


def test_in_bfloat16_the_logits_stay_near(there, unchecked):
    m = model(num_kv_heads=2, sliding_window=6, max_seq_len=16)
    rows = texts(5, 7, 2)
    reader = GPUReader(there(m, bfloat16), rows, room=12)
    assert reader.cache.keys.dtype == bfloat16
    assert_rows_are_right(m, reader, rows, 12, None, tolerance=0.15)


def test_what_lies_in_an_unused_cache_is_no_matter(there, unchecked):
    m = model(num_kv_heads=2)
    reader, rows = GPUReader(there(m), texts(6, 5, 2), room=20), texts(6, 5, 2)
    for kept in (reader.cache.keys, reader.cache.values):
        kept.fill(float("nan"))
    assert_rows_are_right(m, reader, rows, 6, None)


def test_long_texts_take_several_blocks_of_keys(there, unchecked):
    m = model(max_seq_len=600, num_layers=1, num_heads=2)
    rows = texts(7, 511, 3)
    assert_rows_are_right(m, GPUReader(there(m), rows, room=4), rows, 4, None)


# --- the same texts ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("changes", [dict(), dict(positions="learned", sliding_window=4), dict(norm_position="post", positions="sinusoidal")], ids=str)
def test_past_its_context_the_text_is_that_of_the_cpu(changes, there, unchecked):
    m = model(max_seq_len=11, **changes)
    rows = texts(4, 11, 3, 7)
    assert minillm.generate(there(m), rows, 25, temperature=0) == [greedy(m, row, 25, 11) for row in rows]


def test_rope_with_a_window_goes_on_for_ever(there, unchecked):
    m = model(max_seq_len=8, sliding_window=5)
    text = texts(5, 13)[0]
    assert minillm.generate(there(m), text, 25, temperature=0) == greedy(m, text, 25, None)


def test_the_same_seed_throws_the_same_dice(there, unchecked):
    m, rows = model(num_kv_heads=2), texts(8, 4, 1, 6)
    copy = there(m)
    for options in (dict(seed=1), dict(seed=2, temperature=0.7, top_k=9, top_p=0.9), dict(seed=3, repetition_penalty=1.3)):
        assert minillm.generate(copy, rows, 15, **options) == minillm.generate(m, rows, 15, **options)
    assert list(stream(copy, rows[0], max_new_tokens=9, seed=4)) == minillm.generate(m, rows[0], 9, seed=4)


def test_rows_that_have_ended_disturb_nobody(there, unchecked):
    m, rows = model(), texts(9, 5, 2, 3)
    full = minillm.generate(m, rows, 20)
    stop = full[1][2]
    assert minillm.generate(there(m), rows, 20, stop_ids=[stop]) == minillm.generate(m, rows, 20, stop_ids=[stop])


def test_after_training_it_writes_with_the_trained_weights(there, unchecked):
    m = there(model(max_seq_len=16))
    before = minillm.generate(m, [1, 2], 8, temperature=0)
    m.params.flat[...] = -m.params.flat
    after = minillm.generate(m, [1, 2], 8, temperature=0)
    assert after == greedy(on_cpu(m), [1, 2], 8, 16) != before


# --- the step ------------------------------------------------------------------------------------------------------------------------

def launches(monkeypatch):
    """What the launcher is asked for from now on: everything but the numbers in the arrays."""
    seen, call = [], Launcher.__call__

    def watched(self, file, kernel, dtype, **arguments):
        seen.append((file, kernel, str(dtype), *((name, (x.shape, x.strides, str(x.dtype)) if hasattr(x, "strides") else x)
                                                 for name, x in sorted(arguments.items()))))
        return call(self, file, kernel, dtype, **arguments)

    monkeypatch.setattr(Launcher, "__call__", watched)
    return seen


@pytest.mark.parametrize("changes", [dict(num_kv_heads=2, sliding_window=4), dict(positions="learned"), dict(positions="sinusoidal")], ids=str)
def test_every_token_makes_the_same_launches_on_arrays_of_the_same_shapes(changes, monkeypatch):
    """Before the window is full and after, before the text is forgotten and after."""
    m = emulated(model(max_seq_len=12, **changes))
    seen, steps = launches(monkeypatch), []
    reader = GPUReader(m, texts(10, 3, 6), room=14)
    reader.read()
    kept = (reader.cache.keys, reader.cache.values, reader.given.there, reader.logits.there)
    places = [x.ctypes.data for x in kept]
    step, reader.step = reader.step, lambda: (seen.clear(), step(), steps.append(list(seen)))
    for tokens in np.array(texts(11, 14, 14)).T.tolist():
        reader.add(tokens)
    assert len(steps) >= 10 and all(each == steps[0] for each in steps)
    layers = m.config.num_layers
    assert sum(kernel == "store" for _, kernel, *_ in steps[0]) == sum(kernel == "decode_parts" for _, kernel, *_ in steps[0]) == layers
    assert [x.ctypes.data for x in (reader.cache.keys, reader.cache.values, reader.given.there, reader.logits.there)] == places


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("changes", [dict(num_kv_heads=2), dict(positions="learned", norm="layernorm", feed_forward="gelu"),
                                     dict(positions="sinusoidal", norm_position="post", tied=True)], ids=str)
def test_after_a_few_tokens_the_step_is_one_graph_and_the_host_does_no_more_than_launch_it(gpu, changes, dtype):
    reader = GPUReader(on_card(model(**changes), dtype), texts(12, 3, 5), room=9)
    reader.read()
    for tokens in np.array(texts(13, 8, 8)).T.tolist():
        reader.add(tokens)
    assert reader.step.mode == "graph", reader.step.why
    if hasattr(gpu, "watching"):                 # on the stand-in
        with gpu.watching() as seen:
            reader.add([1, 2])
        assert [kind for kind, _, _ in seen] == ["copy in", "graph", "copy out", "wait"]


def test_the_host_waits_once_a_token_and_for_the_logits_alone(gpu):
    """What goes over: two numbers a row to the GPU, v a row back; nothing else, and no other wait."""
    if not hasattr(gpu, "watching"):
        pytest.skip("the stand-in counts this")
    m = on_card(model(num_kv_heads=2, max_seq_len=16))
    reader = GPUReader(m, texts(12, 3, 5), room=11)
    reader.read()
    for tokens in np.array(texts(13, 11, 11)).T.tolist():
        with gpu.watching() as seen:
            reader.add(tokens)
        assert [name for kind, name, _ in seen if kind == "wait"] == ["Event.synchronize"]
        assert [name for kind, name, _ in seen if kind in ("copy in", "copy out")] == ["set", "get"]
        assert [kind for kind, _, _ in seen][-2:] == ["copy out", "wait"]
    assert reader.given.here.nbytes == 2 * 2 * 8 and reader.logits.here.nbytes == 2 * m.config.vocab_size * 4


def test_the_cache_is_sized_by_the_key_heads_and_by_what_a_text_can_need():
    config = dict(num_kv_heads=2, max_seq_len=40)
    for window, length, room, slots in ((5, 12, 30, 5), (None, 12, 8, 20), (None, 12, 300, 40), (50, 12, 300, 40), (30, 12, 1000, 30),
                                        (30, 3, 4, 7), (50, 3, 4, 7)):
        m = emulated(model(sliding_window=window, **config))
        cache = GPUReader(m, texts(0, length, 1), room).cache
        assert cache.keys.shape == cache.values.shape == (m.config.num_layers, 2, 2, slots, m.config.head_size)


def test_a_prompt_longer_than_the_ring_leaves_its_last_tokens_there():
    m = emulated(model(num_layers=1))
    cache = FixedCache(m.config, 2, 4, m.dtype, EMULATED.launch, np)
    context = cache.begin_texts([7, 2])
    assert context.positions is context.num_keys is None and context.past is cache
    assert cache.positions.tolist() == [[-1, -1, -1, 3, 4, 5, 6], [0, 1, -1, -1, -1, -1, -1]]
    shape = (2, 7, m.config.num_kv_heads, m.config.head_size)
    k, v = np.random.default_rng(0).standard_normal((2, *shape)).astype("float32")
    seen = cache.extend(0, k, v)
    assert seen[0] is k and seen[1] is v and seen[2] is None
    assert np.array_equal(cache.keys[0, 0].swapaxes(0, 1), k[0, [4, 5, 6, 3]]) and np.array_equal(cache.values[0, 1, :, :2].swapaxes(0, 1), v[1, :2])


def test_a_reader_that_nobody_needs_gives_its_memory_back_at_once(there):
    reader = GPUReader(there(model()), texts(0, 3), room=5)
    reader.read()
    for token in (1, 2, 3, 4):
        reader.add([token])
    cache = weakref.ref(reader.cache)
    gc.disable()
    try:
        del reader
        assert cache() is None, "on a GPU, memory that waits for the garbage collector is memory that is missing"
    finally:
        gc.enable()


def test_only_a_model_on_kernels_in_their_precisions_is_read_so():
    config = model().config
    assert on_kernels(minillm.Transformer(config, ops=EMULATED)) and on_kernels(minillm.Transformer(config, dtype="bfloat16", ops=EMULATED))
    for dtype, ops in (("float32", REFERENCE), ("float64", EMULATED), ("float16", EMULATED), ("float32", guarded(EMULATED)),
                       ("float32", EMULATED.replace(softmax=REFERENCE.softmax))):
        m = minillm.Transformer(config, dtype=dtype, ops=ops)
        assert not on_kernels(m)
        writer = minillm.generation.writer.Writer(m, [1, 2])
        assert type(writer.reader) is Reader


@pytest.mark.filterwarnings("ignore:The kernels of")
def test_heads_that_no_kernel_takes_are_the_references_on_the_same_cache(there, unchecked):
    m = model(head_size=130, num_heads=2, num_layers=1)
    rows = texts(14, 4, 2)
    assert_rows_are_right(m, GPUReader(there(m), rows, room=7), rows, 7, None)


@pytest.mark.filterwarnings("ignore:The kernels of")
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_precisions_are_written_in_too_by_the_cpus_reader_and_cache(gpu, dtype, unchecked):
    m, rows = model(num_kv_heads=2, sliding_window=5, max_seq_len=9), texts(15, 4, 2)
    copy = on_card(m, dtype)
    written = minillm.generate(copy, rows, 14, temperature=0)
    assert [len(row) for row in written] == [14, 14]
    assert dtype == "float16" or written == minillm.generate(m, rows, 14, temperature=0)


def test_a_prompt_longer_than_the_context_is_refused_in_a_sentence(there):
    with pytest.raises(ValueError, match=r"Prompt 1 has 12 tokens, but the model reads max_seq_len = 11 at once"):
        minillm.generate(there(model(max_seq_len=11)), texts(0, 3, 12))


# --- the command line ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, dtype", [([], "bfloat16"), (["--precision", "tf32"], "float32"), (["--precision", "fp32"], "float32")], ids=str)
def test_the_command_line_writes_on_a_gpu(gpu, tmp_path, capsys, monkeypatch, words, dtype):
    """In float32 the very text of the CPU; in other precisions one of the model's own."""
    tokenizer = minillm.Tokenizer.train(["a text of few words, " * 40], 270, special_tokens=["<|endoftext|>"])
    minillm.save(tmp_path / "run", minillm.Transformer(minillm.Config(vocab_size=270, d_model=16, num_layers=1, num_heads=2, d_ff=16, max_seq_len=24)),
                 tokenizer)
    opened, load = [], minillm.load
    monkeypatch.setattr(minillm, "load", lambda *given, **more: opened.append(load(*given, **more)) or opened[-1], raising=False)
    texts = []
    for more in (["--device", "cuda", *words], []):
        assert cli.run(["generate", str(tmp_path / "run"), "--prompt", "a text", "--max-new-tokens", "30", *more]) == 0
        texts.append(capsys.readouterr().out)
    (on_gpu, _), (on_cpu, _) = opened
    assert (on_gpu.device, on_gpu.dtype, on_cpu.device, on_cpu.dtype) == ("cuda", dtype, "cpu", "float32")
    assert all(text.startswith("a text") for text in texts) and (texts[0] == texts[1] or "fp32" not in words)


def test_the_training_loop_lets_a_gpus_model_write_between_two_steps(gpu, tmp_path, unchecked):
    """With the weights as they are then."""
    class Data:
        def batch(self, step):
            tokens = np.random.default_rng(step).integers(0, 270, (2, 9))
            return tokens[:, :-1], tokens[:, 1:], None

    m = on_card(model(vocab_size=270, max_seq_len=16, num_layers=1))
    tokenizer = minillm.Tokenizer.train(["a text of few words, " * 40], 270, special_tokens=["<|endoftext|>"])
    minillm.train(m, Data(), tokenizer=tokenizer, out=tmp_path / "run", steps=3, sample_every=1, lr=1e-2, progress=False)
    samples = [line["sample"] for line in read(tmp_path / "run" / "metrics.jsonl")]
    assert len(set(samples)) == 3
    as_trained = on_cpu(m)
    assert samples[-1] == "".join(stream_text(as_trained, tokenizer, "", max_new_tokens=120, temperature=0.8, seed=0))


@pytest.mark.parametrize("method", ["read", "add"])
def test_what_cuda_raises_while_a_text_is_written_is_said_in_a_sentence(method, monkeypatch):
    """From Python too, and whoever reads: generate, stream or stream_text."""
    class CUDARuntimeError(RuntimeError):
        """Named as CuPy's, by which it is known."""

    def fail(*_):
        raise CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

    config = minillm.Config(vocab_size=11, d_model=8, num_layers=1, num_heads=1, d_ff=8, max_seq_len=16)
    monkeypatch.setattr(f"minillm.generation.reader.Reader.{method}", fail)
    with pytest.raises(minillm.gpu.Crash, match="The GPU stopped a program of this process .*it must be started again"):
        minillm.generate(minillm.Transformer(config), [1, 2], 3)
