"""A text in chunks, cut anywhere, gives the tokens of the whole."""

import tracemalloc

import minillm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm.tokenizer import streaming
from minillm.tokenizer.streaming import Normalizer, blocks, split_specials, valid_unicode
from token_samples import MIXED, TRICKY, chunked, source_code

SPECIALS = ["<|a|>", "<|a|>!", "|>"]


@pytest.fixture(scope="module", params=["gpt2", "gpt4", "o200k", "whitespace", "none", r"\w+|\W"])
def tokenizer(request):
    return minillm.Tokenizer.train([MIXED], vocab_size=500, pattern=request.param, special_tokens=SPECIALS, processes=1)


@settings(max_examples=60)
@given(text=st.lists(st.one_of(st.text(alphabet=TRICKY, max_size=25), st.sampled_from(SPECIALS), st.sampled_from(["\ud83d", "\ude00"])),
                     max_size=8).map("".join), seed=st.integers(0, 1000), size=st.integers(1, 40))
def test_any_chunking_gives_the_tokens_of_the_whole(tokenizer, text, seed, size):
    whole = tokenizer.encode(text, allowed_special="all")
    chunks = chunked(text, seed)
    parts = split_specials(valid_unicode(chunks), tokenizer.special_tokens)
    found = b"".join(map(tokenizer.encode_block, blocks(tokenizer.normalizer(parts), tokenizer.pattern.settled, size)))
    assert list(memoryview(found).cast("I")) == whole
    assert list(tokenizer.encode_iterable(chunks, allowed_special="all")) == whole


@given(text=st.text(alphabet="ae\u0301\u0323\u1100\u1161가ﬁ中 ", max_size=30), seed=st.integers(0, 1000), form=st.sampled_from(["NFC", "NFKC", "NFD"]))
def test_normalisation_does_not_depend_on_the_chunks(text, seed, form):
    import unicodedata
    assert "".join(Normalizer(form=form)(chunked(text, seed))) == unicodedata.normalize(form, text)


def test_spaces_in_front_are_put_where_asked():
    parts = ["", "a", "b", 7, "", " c", 7, 7, "d"]
    assert list(Normalizer(prepend="always")(parts)) == [" a", "b", 7, "  c", 7, 7, " d"]
    assert list(Normalizer(prepend="always", prepend_twice=False)(parts)) == [" a", "b", 7, " c", 7, 7, " d"]
    assert list(Normalizer(prepend="first")(parts)) == [" a", "b", 7, " c", 7, 7, "d"]
    assert list(Normalizer(metaspace=True)(["a▁b"])) == ["a b"]


def test_a_special_token_cut_in_two_is_found_and_a_forbidden_one_too(tokenizer):
    ids = list(tokenizer.encode_iterable(["x<|", "a|", ">", "!y"], allowed_special="all"))
    assert tokenizer.special_tokens["<|a|>!"] in ids
    with pytest.raises(ValueError, match="name of a special token"):
        list(tokenizer.encode_iterable(["x<|", "a|>", "y"]))


def test_a_stream_is_never_held_whole():
    tokenizer = minillm.Tokenizer.train([MIXED], vocab_size=400, processes=1)
    text = source_code(100_000)
    list(tokenizer.encode_iterable([text]))                       # the cache is filled before anything is measured
    tracemalloc.start()
    try:
        peaks = []
        for copies in (12, 24):
            tracemalloc.reset_peak()
            assert sum(1 for _ in tokenizer.encode_iterable(text for _ in range(copies))) > 10**5
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0], f"twice the stream took {peaks[1] / peaks[0]:.2f} times the memory"


def test_a_piece_longer_than_many_blocks_is_looked_at_in_doublings(monkeypatch):
    looked = []
    pattern = minillm.Tokenizer.train(["aa"], vocab_size=257).pattern
    parts = list(blocks(("a" * 10 for _ in range(1000)), lambda text: looked.append(len(text)) or pattern.settled(text), size=100))
    assert "".join(parts) == "a" * 10_000
    assert sum(looked) < 4 * 10_000, "each look at the piece starts from its beginning: too many looks are quadratic"


def test_large_texts_are_cut_into_blocks():
    tokenizer = minillm.Tokenizer.train([MIXED], vocab_size=400, processes=1)
    parts = list(tokenizer.blocks([source_code(1_500_000)], (), "all"))
    assert len(parts) >= 3 and max(map(len, parts)) < 2.1 * streaming.BLOCK
