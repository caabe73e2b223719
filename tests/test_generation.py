"""Generation: the cache is exact, the filters are exact, the dice are fair, and the text comes in whole characters."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import minillm
from minillm import cli
from minillm.checks import guarded
from minillm.generation import KVCache, Sampler, stream, stream_text
from minillm.generation.decoder import LeanBranches, decoder
from minillm.generation.reader import Reader, context_limit
from minillm.generation.text import TextStream
from minillm.ops import REFERENCE

V = 23
SHAPE = dict(vocab_size=V, d_model=16, num_layers=2, num_heads=4, d_ff=24, max_seq_len=64, initialisation="fan_in")


def model(seed=0, ops=None, **changes):
    """A small model in float64, in which every parameter matters."""
    built = minillm.Transformer(minillm.Config(**SHAPE | changes), seed, dtype="float64", ops=ops)
    rng = np.random.default_rng(seed + 1)
    for view in built.params.values():
        view += rng.normal(0, 0.3, view.shape)
    return built


def texts(seed, *lengths):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, V, n).tolist() for n in lengths]


# --- the cache ----------------------------------------------------------------------------------------------------------

MODELS = {
    "multi-head": {},
    "grouped-query": dict(num_kv_heads=2),
    "multi-query": dict(num_kv_heads=1),
    "window 1": dict(sliding_window=1),
    "window 3": dict(sliding_window=3, num_kv_heads=2),
    "window 7": dict(sliding_window=7),
    "window longer than the text": dict(sliding_window=50),
    "learned": dict(positions="learned", norm="layernorm", norm_bias=True, attention_bias=True, feed_forward_bias=True, feed_forward="gelu"),
    "learned, window": dict(positions="learned", sliding_window=4),
    "sinusoidal": dict(positions="sinusoidal", num_kv_heads=1),
    "post-norm": dict(norm_position="post", positions="sinusoidal", norm="layernorm", feed_forward="relu"),
    "post-norm, window": dict(norm_position="post", sliding_window=2),
    "interleaved pairs, wide heads, tied": dict(rope_pairing="interleaved", head_size=6, tied=True),
}


def cached_logits(m, tokens, chunks, pads):
    """The logits of every column, read in passes of the given sizes."""
    cache = KVCache(m.config, pads, tokens.shape[1], m.dtype)
    parts, start = [], 0
    for t in chunks:
        n, _ = m.read(tokens[:, start:start + t], m.params, cache.begin(t), keep="nothing")
        parts.append(n @ m.output_matrix(m.params).T)
        start += t
    return np.concatenate(parts, axis=1)


def assert_close(cached, uncached, where):
    error = np.abs(cached - uncached).max() / np.abs(uncached).max()
    assert error < 1e-12, f"{where}: the cached logits differ from the uncached ones by {error:.1e} of the largest logit"


@pytest.mark.parametrize("chunks", [(1,) * 16, (5,) + (1,) * 11, (9, 1, 1, 1, 4)], ids=["one by one", "prompt, then one by one", "in pieces"])
@pytest.mark.parametrize("name", MODELS)
def test_cached_logits_are_the_uncached_ones_at_every_position(name, chunks):
    m, tokens = model(**MODELS[name]), np.array(texts(0, 16, 16))
    cached, uncached = cached_logits(m, tokens, chunks, [0, 0]), m(tokens)
    for position in range(16):
        assert_close(cached[:, position], uncached[:, position], f"{name}, position {position}")


@pytest.mark.parametrize("name", MODELS)
def test_every_row_of_unequal_prompts_is_read_as_if_it_were_alone(name):
    m, rows = model(**MODELS[name]), texts(1, 9, 1, 4)
    reader = Reader(m, rows, room=12)
    logits = reader.read()
    for step, new in enumerate(np.array(texts(2, 13, 13, 13)).T.tolist()):
        for i, row in enumerate(rows):
            assert_close(logits[i], m(np.array([row]))[0, -1], f"{name}, row {i}, step {step}")
        if step < 12:
            rows = [[*row, token] for row, token in zip(rows, new, strict=True)]
            logits = reader.add(new)


@given(st.data())
@settings(max_examples=30)
def test_any_window_any_padding_and_any_passes_agree_with_the_uncached_model(data):
    window = data.draw(st.none() | st.integers(1, 12), "window")
    pads = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=3), "pads")
    chunks = [max(pads) + 1, *data.draw(st.lists(st.integers(1, 6), max_size=5), "chunks")]
    positions = data.draw(st.sampled_from(["rope", "learned", "sinusoidal"]), "positions")
    m = model(sliding_window=window, num_kv_heads=2, positions=positions, num_layers=2)
    tokens = np.array(texts(3, *[sum(chunks)] * len(pads)))
    cached = cached_logits(m, tokens, chunks, pads)
    for row, pad in enumerate(pads):
        assert_close(cached[row, pad:], m(tokens[row:row + 1, pad:])[0], f"row {row} with {pad} columns of padding")


def test_the_cache_is_sized_by_the_key_heads_and_by_the_window():
    config = minillm.Config(**SHAPE | dict(num_kv_heads=2, sliding_window=5))
    cache = KVCache(config, [0, 3, 1], num_columns=1000)
    numbers = cache.keys.size + cache.values.size
    assert numbers == 2 * config.num_layers * 3 * config.num_kv_heads * 5 * config.head_size
    assert cache.keys.dtype == np.float32
    m = model(num_kv_heads=2, sliding_window=5)
    reader = Reader(m, texts(0, 12), room=30)
    reader.read()
    kept = reader.cache.keys
    for token in texts(1, 30)[0]:
        reader.add([token])
    assert reader.cache.keys is kept and kept.shape[3] == 5, "the cache must stay as large as the window while the text grows"


def test_a_cache_without_a_window_is_as_long_as_the_text_will_be_but_no_longer_than_the_context():
    for room, slots in ((10, 15), (1000, 64)):
        reader = Reader(model(), texts(0, 5), room)
        reader.read()
        assert reader.cache.slots == slots


def test_reading_keeps_nothing_for_a_backward_pass():
    def peak(num_layers):
        m, tokens = model(num_layers=num_layers), np.array(texts(0, 60))
        m.read(tokens, m.params, KVCache(m.config, [0], 60, m.dtype).begin(60), keep="nothing")
        context = KVCache(m.config, [0], 60, m.dtype).begin(60)      # the cache itself is not counted
        tracemalloc.start()
        m.read(tokens, m.params, context, keep="nothing")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(12) < 1.3 * peak(3), "each layer's intermediate results must be dropped once the next has read them"


@pytest.mark.parametrize("name", ["linear", "rmsnorm", "rope", "attention", "softmax", "silu", "embedding"])
def test_every_operation_of_the_table_reaches_generation(name):
    class Other:
        def __init__(self, op):
            self.op = op

        def forward(self, *arrays, **options):
            y, cache = self.op.forward(*arrays, **options)
            return 1.25 * y, cache

    ops, rows = REFERENCE.replace(**{name: Other(getattr(REFERENCE, name))}), texts(0, 6, 2)
    m, plain = model(ops=ops), model()
    reader, plain_reader = Reader(m, rows, 2), Reader(plain, rows, 2)
    for step in range(2):
        logits, plain_logits = (r.add([1, 2]) if step else r.read() for r in (reader, plain_reader))
        assert np.abs(logits - plain_logits).max() > 1e-3, f"{name} was replaced, and generation didn't notice"
        for i, row in enumerate(rows):
            assert_close(logits[i], m(np.array([[*row, 1 + i][:len(row) + step]]))[0, -1], f"{name} replaced, row {i}")


def test_the_lean_blocks_run_only_in_place_of_the_reference_operations():
    assert isinstance(decoder(model()).blocks[0], LeanBranches)
    for other in (model(ops=REFERENCE.replace(silu=REFERENCE.relu)), model(ops=guarded(REFERENCE)),
                  minillm.Transformer(minillm.Config(**SHAPE), dtype="float16")):
        assert decoder(other) is other


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_model_of_any_precision_writes(dtype):
    m = minillm.Transformer(minillm.Config(**SHAPE), dtype=dtype)
    written = minillm.generate(m, texts(0, 4, 2), 5, temperature=0)
    assert [len(row) for row in written] == [5, 5]
    reader = Reader(m, texts(0, 4), 1)
    reader.read()
    assert reader.cache.keys.dtype == m.dtype


# --- beyond the context ----------------------------------------------------------------------------------------------------

def greedy(m, text, count, limit):
    """What the rule of reader.py says, without a cache: a text longer than the limit is cut to its last half."""
    view, written = list(text), []
    for _ in range(count):
        if limit is not None and len(view) > limit:
            view = view[-(limit // 2):]
        written.append(int(m(np.array([view]))[0, -1].argmax()))
        view.append(written[-1])
    return written


@pytest.mark.parametrize("changes", [dict(), dict(positions="learned"), dict(positions="sinusoidal"), dict(positions="learned", sliding_window=4),
                                     dict(sliding_window=20)], ids=str)
def test_past_its_context_a_model_reads_the_last_half_anew(changes):
    m = model(max_seq_len=11, **changes)
    assert context_limit(m.config) == 11
    rows = texts(4, 11, 3, 7)
    expected = [greedy(m, row, 25, 11) for row in rows]
    assert minillm.generate(m, rows, 25, temperature=0) == expected, "each row forgets at its own time"
    assert minillm.generate(m, rows[1], 25, temperature=0) == expected[1]


def test_rope_with_a_window_goes_on_for_ever():
    m = model(max_seq_len=8, sliding_window=5)
    text = texts(5, 13)[0]
    assert minillm.generate(m, text, 25, temperature=0) == greedy(m, text, 25, None)


def test_a_prompt_longer_than_the_context_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"Prompt 1 has 12 tokens, but the model reads max_seq_len = 11 at once"):
        minillm.generate(model(max_seq_len=11), texts(0, 3, 12))


# --- the filters, exactly ------------------------------------------------------------------------------------------------------

def kept(z, **options):
    return np.flatnonzero(np.isfinite(Sampler(**options).filtered(np.array(z, float)))).tolist()


def logs(*p):
    return np.log(np.array(p))


def test_top_k_keeps_the_k_largest_and_all_that_tie_with_the_last_of_them():
    assert kept([1, 5, 3, 4, 2], top_k=2) == [1, 3]
    assert kept([1, 5, 3, 3, 2], top_k=2) == [1, 2, 3]
    assert kept([1, 5, 3, 3, 2], top_k=3) == [1, 2, 3]
    assert kept([2, 2, 2], top_k=1) == [0, 1, 2]
    assert kept([1, 2, 3], top_k=3) == kept([1, 2, 3], top_k=50) == [0, 1, 2]


def test_top_p_keeps_the_smallest_set_that_reaches_p_with_the_token_that_crosses_it():
    p = logs(0.1, 0.4, 0.2, 0.3)
    assert kept(p, top_p=0.01) == [1]
    assert kept(p, top_p=0.39) == [1]
    assert kept(p, top_p=0.41) == [1, 3]
    assert kept(p, top_p=0.69) == [1, 3]
    assert kept(p, top_p=0.71) == [1, 2, 3]
    assert kept(p, top_p=0.95) == kept(p, top_p=1.0) == [0, 1, 2, 3]
    assert kept(logs(0.5, 0.25, 0.25), top_p=0.5) == [0], "0.5 is reached exactly, so nothing more is needed"
    assert kept([0, 0, 0, 0], top_p=0.5) == [0, 1], "of equal tokens, the smaller ids come first"


def test_min_p_keeps_what_has_a_share_of_the_largest_probability():
    p = logs(0.1, 0.5, 0.15, 0.25)
    assert kept(p, min_p=0.49) == [1, 3]
    assert kept(p, min_p=0.29) == [1, 2, 3]
    assert kept(p, min_p=0.0) == [0, 1, 2, 3]
    assert kept(p, min_p=1.0) == [1]


def test_the_filters_come_in_their_order_each_on_what_the_last_one_left():
    p = logs(0.4, 0.3, 0.2, 0.1)
    assert kept(p, top_k=2, top_p=0.55) == [0], "of the two that top-k left, the first has 4/7 > 0.55"
    assert kept(p, temperature=10.0, top_p=0.55) == [0, 1, 2], "temperature comes first: it flattens what top-p sees"
    assert kept(p, temperature=10.0, min_p=0.8) == [0, 1, 2, 3]
    assert kept(p, temperature=0.1, min_p=0.1) == [0]


@given(st.lists(st.integers(-8, 8).map(lambda n: n / 2), min_size=1, max_size=12), st.floats(0.01, 0.99))
def test_top_p_is_the_smallest_set(z, p):
    z = np.array(z)
    probabilities = np.exp(z) / np.exp(z).sum()
    chosen = kept(z, top_p=p)
    assert probabilities[chosen].sum() >= p - 1e-12, "the set must reach p"
    assert probabilities[chosen].sum() - probabilities[chosen].min() < p + 1e-12, "without its least token it must not"
    left_out = np.delete(probabilities, chosen)
    assert not left_out.size or left_out.max() <= probabilities[chosen].min() + 1e-12, "no token may be better than one that stays"


def test_the_repetition_penalty_divides_positive_logits_and_multiplies_negative_ones_of_what_was_seen():
    z, seen = np.array([2.0, -2.0, 2.0, -2.0, 0.0]), np.array([True, True, False, False, True])
    assert Sampler(repetition_penalty=4.0).penalised(z, seen).tolist() == [0.5, -8.0, 2.0, -2.0, 0.0]
    assert Sampler().penalised(z, seen).tolist() == z.tolist()


def test_what_was_seen_is_the_prompt_and_what_was_written():
    m = minillm.Bigram(4)
    m.params["bigram.weight"][...] = [4, 3, 2, 1]                    # whatever came last
    assert minillm.generate(m, [0], 4, temperature=0) == [0, 0, 0, 0]
    assert minillm.generate(m, [0], 4, temperature=0, repetition_penalty=100.0) == [1, 2, 3, 0]
    assert minillm.generate(m, [[0, 1, 2], [3, 1]], 2, temperature=0, repetition_penalty=100.0) == [[3, 0], [0, 2]]


def test_temperature_zero_takes_the_likeliest_token_and_near_zero_does_too():
    z, rng, none = np.array([0.1, 3.0, 2.9, -1.0]), np.random.default_rng(0), np.zeros(4, bool)
    for temperature in (0, 1e-3, 1e-300):
        assert {Sampler(temperature).choose(z, none, rng) for _ in range(50)} == {1}


# --- the dice ---------------------------------------------------------------------------------------------------------------------

def chi_square(counts, p):
    """(the statistic, a bound that a right sampler exceeds once in millions of seeds): Wilson and Hilferty's approximation."""
    assert not counts[p == 0].any(), "a token of probability zero was drawn"
    expected = counts.sum() * p[p > 0]
    df = expected.size - 1
    return ((counts[p > 0] - expected) ** 2 / expected).sum(), df * (1 - 2 / (9 * df) + 5 * np.sqrt(2 / (9 * df))) ** 3


P = np.array([0.02, 0.3, 0.08, 0.0, 0.25, 0.05, 0.2, 0.1])


def normalised(p):
    return p / p.sum()


@pytest.mark.parametrize("options, p", [
    (dict(), P),
    (dict(temperature=2.0), normalised(np.sqrt(P))),
    (dict(temperature=0.5), normalised(P ** 2)),
    (dict(top_k=3), normalised(P * (P >= 0.2))),
    (dict(top_p=0.8), normalised(P * (P >= 0.1))),
    (dict(min_p=0.25), normalised(P * (P >= 0.08))),
    (dict(temperature=2.0, top_k=4, top_p=0.7), normalised(np.sqrt(P) * (P >= 0.2))),
], ids=str)
def test_tokens_are_drawn_as_often_as_they_should_be(options, p):
    with np.errstate(divide="ignore"):
        z = np.log(P) + 3                                            # a constant added to all logits changes nothing
    sampler, rng, none = Sampler(**options), np.random.default_rng(7), np.zeros(8, bool)
    counts = np.bincount([sampler.choose(z, none, rng) for _ in range(4000)], minlength=8)
    statistic, bound = chi_square(counts, p)
    assert statistic < bound, f"chi-square {statistic:.1f} exceeds {bound:.1f}: drawn {counts / 4000}, should be {p}"


def test_rows_and_steps_are_independent_throws():
    m = minillm.Bigram(3)
    with np.errstate(divide="ignore"):
        m.params["bigram.weight"][...] = np.log([[0.2, 0.5, 0.3], [0.6, 0.0, 0.4], [0.1, 0.7, 0.2]])
    p = np.exp(m.params["bigram.weight"].astype(float))
    written = np.array(minillm.generate(m, [[0]] * 2000, 2, seed=3))
    pairs = np.bincount(written[:, 0] * 3 + written[:, 1], minlength=9)
    statistic, bound = chi_square(pairs, normalised((p[0][:, None] * p).reshape(-1)))
    assert statistic < bound, f"chi-square {statistic:.1f} exceeds {bound:.1f}: the pairs of the first and the second token {pairs}"


def test_a_seed_says_what_is_written_and_another_seed_says_something_else():
    m, prompt = model(), texts(0, 4)[0]
    assert minillm.generate(m, prompt, 20, seed=5) == minillm.generate(m, prompt, 20, seed=5)
    assert minillm.generate(m, prompt, 20, seed=5) != minillm.generate(m, prompt, 20, seed=6)
    same = minillm.generate(m, [prompt, prompt], 20, seed=5)
    assert same[0] != same[1], "rows must not throw the same dice"


def test_what_a_row_gets_does_not_depend_on_the_other_rows():
    m, (a, b, c, d) = model(), texts(0, 5, 2, 9, 1)
    alone, together = minillm.generate(m, a, 20), minillm.generate(m, [a, b, c], 20)
    assert together[0] == alone
    assert minillm.generate(m, [d, b], 20)[1] == together[1]
    ended = minillm.generate(m, [a, b, c], 20, stop_ids=[alone[3]])
    for row, full in zip(ended, together, strict=True):
        assert row == (full[:full.index(alone[3])] if alone[3] in full else full)


# --- ends, and text ------------------------------------------------------------------------------------------------------------------

class Pieces:
    """A tokenizer of given byte strings; text is encoded byte by byte where the bytes are tokens."""

    def __init__(self, *tokens, special=None):
        self.tokens, self.vocab_size, self.special_tokens = tokens, len(tokens), special or {}

    def token_bytes(self, ids):
        return b"".join(self.tokens[i] for i in ids)

    def encode(self, text):
        return [self.tokens.index(bytes([byte])) for byte in text.encode()]


def chain(*tokens, vocab_size=None):
    """A model that writes token 1 after token 0, then 2, 3, …, and its tokenizer."""
    size = vocab_size or len(tokens)
    m = minillm.Bigram(size)
    m.params["bigram.weight"][...] = 50 * np.eye(size, k=1)
    return m, Pieces(*tokens)


def test_a_text_ends_before_a_stop_id():
    m, _ = chain(*b"abcdefgh")
    assert minillm.generate(m, [0], 5, temperature=0) == [1, 2, 3, 4, 5]
    assert minillm.generate(m, [0], 5, temperature=0, stop_ids=[3, 9]) == [1, 2]
    assert minillm.generate(m, [[0], [2], [4]], 3, temperature=0, stop_ids=[3]) == [[1, 2], [], [5, 6, 7]]
    assert minillm.generate(m, [0], 0) == []


def test_a_stop_string_that_straddles_tokens_is_found_and_not_shown():
    m, tokenizer = chain(b"x", b"on", b"ce. EN", b"O EN", b"D.", b"more", b"and more")
    assert minillm.generate(m, [0], 6, temperature=0, stop=" END", tokenizer=tokenizer) == [1, 2, 3, 4]
    assert list(stream_text(m, tokenizer, "x", max_new_tokens=6, temperature=0, stop=" END")) == ["on", "ce.", " ENO"]
    assert "".join(stream_text(m, tokenizer, "x", max_new_tokens=3, temperature=0, stop=[" END", "zzz"])) == "once. ENO EN", \
        "what was held back is shown when the stop string doesn't come"


@given(st.text("abé", max_size=12), st.lists(st.text("abé", min_size=1, max_size=4), max_size=2), st.randoms())
@example("aab", ["ab"], None)
def test_the_text_shown_is_what_comes_before_the_first_stop_string(text, stop, random):
    data, pieces = text.encode(), []
    while data:
        cut = random.randint(1, 3) if random else 1
        pieces, data = [*pieces, data[:cut]], data[cut:]
    shown_stream, shown, read = TextStream(Pieces(*pieces), stop), "", b""
    for i in range(len(pieces)):
        read += pieces[i]
        shown += shown_stream.push(i)
        whole = read.decode(errors="ignore")
        ends = [whole.index(s) for s in stop if s in whole]
        assert shown_stream.stopped == bool(ends)
        if ends:
            assert shown == whole[:min(ends)]
            break
        held = whole.removeprefix(shown)
        assert shown + held == whole
        assert not held or any(s.startswith(held) for s in stop), "nothing is held back without need"
    assert shown + shown_stream.finish() == (text if not shown_stream.stopped else shown)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), st.randoms())
@settings(max_examples=40)
def test_text_comes_in_whole_characters_however_tokens_cut_them(text, random):
    data, tokens = text.encode(), [b"?"]
    while data:
        cut = random.randint(1, 5)
        tokens, data = [*tokens, data[:cut]], data[cut:]
    m, tokenizer = chain(*tokens)
    pieces = list(stream_text(m, tokenizer, "?", max_new_tokens=len(tokens) - 1, temperature=0))
    assert "".join(pieces) == text and all(pieces)


def test_half_a_character_at_the_very_end_becomes_the_replacement_character():
    m, tokenizer = chain(b"x", b"caf", "é".encode()[:1], "é".encode()[1:])
    assert list(stream_text(m, tokenizer, "x", max_new_tokens=2, temperature=0)) == ["caf", "\ufffd"]
    assert list(stream_text(m, tokenizer, "x", max_new_tokens=3, temperature=0)) == ["caf", "é"]


def test_a_stream_gives_each_token_before_the_next_is_computed():
    m, prompt = model(), texts(0, 4)[0]
    assert list(stream(m, prompt, max_new_tokens=10, seed=2)) == minillm.generate(m, prompt, 10, seed=2)
    passes = []
    read = m.read
    m.read = lambda *arguments, **options: passes.append(1) or read(*arguments, **options)
    tokens = stream(m, prompt, max_new_tokens=10)
    for count in range(1, 4):
        next(tokens)
        assert len(passes) == count


def test_a_prompt_stands_after_the_end_of_another_text_as_documents_do_in_training():
    m, _ = chain(*b"abcd")
    tokenizer = Pieces(b"<|endoftext|>", b"b", b"c", b"d", special={"<|endoftext|>": 0})
    read, seen = minillm.generation.writer.BigramReader, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minillm.generation.writer.BigramReader", lambda model, prompts, n: seen.append(prompts) or read(model, prompts, n))
        list(stream_text(m, tokenizer, "b", max_new_tokens=1))
    assert seen == [[[0, 1]]]


def test_an_empty_text_begins_with_the_end_of_another_and_a_text_ends_there():
    m, _ = chain(*b"abcd")
    tokenizer = Pieces(b"<|endoftext|>", b"b", b"c", b"d", special={"<|endoftext|>": 0})
    m.params["bigram.weight"][3, 0] = 50
    assert "".join(stream_text(m, tokenizer, "", max_new_tokens=20, temperature=0)) == "bcd"
    assert "".join(stream_text(m, tokenizer, "", max_new_tokens=5, temperature=0, stop_ids=())) == "bcd<|endoftext|>b"


def test_only_tokens_that_the_tokenizer_has_are_drawn():
    m, tokenizer = chain(b"a", b"b", b"c", vocab_size=10)
    m.params["bigram.weight"][...] = 0
    written = minillm.generate(m, [0], 300, tokenizer=tokenizer)
    assert set(written) == {0, 1, 2}
    assert set(minillm.generate(m, [0], 300)) == set(range(10))


def test_prompts_may_be_lists_or_arrays():
    m = model()
    rows = texts(0, 3, 3)
    expected = minillm.generate(m, rows, 4)
    assert minillm.generate(m, np.array(rows), 4) == expected
    assert minillm.generate(m, [np.array(row) for row in rows], 4) == expected
    assert minillm.generate(m, np.array(rows[0]), 4) == minillm.generate(m, tuple(rows[0]), 4) == expected[0]


@pytest.mark.parametrize("prompt, options, sentence", [
    ([], {}, "Prompt 0 is empty"),
    ([[1], []], {}, "Prompt 1 is empty"),
    ("Once", {}, "list of token ids, not str: encode the text first"),
    ([1.5], {}, "whole numbers"),
    ([[[1]]], {}, "Prompt 0 must be a list of token ids"),
    ([1, 3, 99], {}, "Token 99 at place 2 of prompt 0 is outside the model's vocabulary of 23"),
    ([[1], [-1]], {}, "Token -1 at place 0 of prompt 1"),
    ([1], dict(max_new_tokens=-1), "max_new_tokens must be"),
    ([1], dict(temperature=-0.1), "temperature must be a number of at least 0"),
    ([1], dict(temperature=float("nan")), "temperature must be"),
    ([1], dict(top_k=0), "top_k must be a whole number of at least 1"),
    ([1], dict(top_p=0.0), "top_p must be above 0 and at most 1"),
    ([1], dict(top_p=1.1), "top_p must be"),
    ([1], dict(min_p=-0.1), "min_p must be between 0 and 1"),
    ([1], dict(repetition_penalty=0.0), "repetition_penalty must be a positive number"),
    ([1], dict(stop="END"), "need the tokenizer"),
    ([1], dict(stop=["END", ""], tokenizer=Pieces(b"a")), "stop string can't be empty"),
], ids=lambda value: None if isinstance(value, dict) else str(value))
def test_what_can_not_be_done_is_said_in_a_sentence(prompt, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        minillm.generate(model(), prompt, **options)


def test_a_broken_model_is_said_to_be_broken():
    m = model()
    m.params["embedding.weight"][5] = np.nan
    with pytest.raises(ValueError, match="logits are not finite"):
        minillm.generate(m, [1, 5, 2], temperature=0)


def test_stream_takes_one_prompt():
    with pytest.raises(ValueError, match="stream writes one text"):
        stream(model(), [[1], [2]])


# --- the command line ------------------------------------------------------------------------------------------------------------

def test_the_command_line_streams_the_prompt_and_what_follows_it(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(minillm, "load", lambda run, **placed: opened.append((run, placed)) or chain(*(bytes([byte]) for byte in b"abcdefgh")),
                        raising=False)
    assert cli.run(["generate", "RUN", "--prompt", "ab", "--temperature", "0", "--max-new-tokens", "4"]) == 0
    assert capsys.readouterr().out == "abcdef\n"
    assert cli.run(["generate", "RUN", "--prompt", "ab", "--temperature", "0", "--stop", "f", "zz"]) == 0
    assert capsys.readouterr().out == "abcde\n"
    assert opened == [("RUN", {"device": "cpu", "dtype": "float32"})] * 2


def test_a_model_without_a_tokenizer_is_said_to_lack_it(monkeypatch):
    monkeypatch.setattr(minillm, "load", lambda run, **placed: (model(), None), raising=False)
    with pytest.raises(ValueError, match="RUN holds a model without a tokenizer"):
        cli.run(["generate", "RUN", "--prompt", "ab"])
