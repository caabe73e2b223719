"""The Tokenizer: round trips, tiktoken as judge, special tokens, offsets, decoding, bad input."""

import logging

import minillm
import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm.tokenizer.patterns import PATTERNS
from token_samples import MIXED, SAMPLES, source_code, text_strategy

END = "<|endoftext|>"


@pytest.fixture(scope="module")
def tokenizer():
    return minillm.Tokenizer.train([MIXED, source_code(30_000)], vocab_size=1000, special_tokens=[END, "<|pad|>"], processes=1)


def as_tiktoken(tokenizer):
    ranks = {token: i for i, token in enumerate(tokenizer.model.tokens)}
    return tiktoken.Encoding("ours", pat_str=tokenizer.pattern.source, mergeable_ranks=ranks, special_tokens=tokenizer.special_tokens)


@settings(max_examples=300)
@given(text=text_strategy)
def test_decoding_gives_the_text_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(data=st.binary(max_size=200))
def test_any_bytes_come_back_where_they_are_text(tokenizer, data):
    text = data.decode("utf-8", "replace")
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode_bytes(list(data)) == data               # and every byte is a token, so any bytes can be written


@given(text=st.text(alphabet=st.characters(categories=["Cs", "L"]), max_size=20))
def test_lone_surrogates_become_the_replacement_character_as_in_tiktoken(tokenizer, text):
    judge = as_tiktoken(tokenizer)
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert tokenizer.decode(tokenizer.encode(text)) == expected
    if not any(character.isalpha() and ord(character) > 0x2FFF for character in expected):    # tables of newer letters differ
        assert tokenizer.encode(text) == judge.encode(text)


@pytest.mark.parametrize("letter", ["a", "é", " ", "\n", "1", "😀"])
def test_a_long_run_of_one_letter(letter):
    tokenizer = minillm.Tokenizer.train([letter * 64], vocab_size=260, processes=1)
    text = letter * (1 << 22 if letter == "1" else 1 << 16)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.slow
def test_four_megabytes_of_one_letter_in_full():
    tokenizer = minillm.Tokenizer.train(["a" * 64], vocab_size=260, processes=1)
    assert tokenizer.decode(tokenizer.encode("a" * (1 << 22))) == "a" * (1 << 22)


@pytest.mark.parametrize("pattern", sorted(set(PATTERNS) - {"none", "spaces", "words", "cl100k"}))
def test_the_ids_are_tiktokens(pattern):
    tokenizer = minillm.Tokenizer.train([MIXED, source_code(20_000)], vocab_size=700, pattern=pattern, processes=1)
    judge = as_tiktoken(tokenizer)
    for kind, text in {**SAMPLES, "mixed": MIXED * 30, "more code": source_code(60_000)}.items():
        assert tokenizer.encode(text) == judge.encode(text), f"on {kind}"


@settings(max_examples=200)
@given(text=st.text(alphabet="aAbZßéſ'’sStTdDmMlLvVrReE01 中日ابह\u0301\u093f\u200dǅ😀𝔘!?.,/_-\t\n\r\x0b\x0c\x00\x1c\x85\u00a0\u3000", max_size=60))
def test_the_ids_are_tiktokens_on_any_mixture(tokenizer, text):
    assert tokenizer.encode(text) == as_tiktoken(tokenizer).encode(text)


def test_training_again_gives_the_same_tokenizer_for_any_number_of_processes(tmp_path):
    text = source_code(300_000)
    texts = [text[i:i + 30_000] for i in range(0, len(text), 30_000)] * 30    # enough for several tasks
    one = minillm.Tokenizer.train(texts, vocab_size=500, processes=1)
    two = minillm.Tokenizer.train(texts, vocab_size=500, processes=2)
    assert one.model.tokens == two.model.tokens and one.hash() == two.hash()


def test_files_and_strings_train_alike(tmp_path):
    (tmp_path / "a.txt").write_bytes(MIXED.encode())
    assert (minillm.Tokenizer.train([tmp_path / "a.txt"], vocab_size=400).model.tokens
            == minillm.Tokenizer.train(MIXED, vocab_size=400).model.tokens)


def test_special_tokens_split_the_training_text_and_never_merge():
    with_special = minillm.Tokenizer.train([f"ab{END}" * 20], vocab_size=300, special_tokens=[END])
    without = minillm.Tokenizer.train(["ab"] * 20, vocab_size=300)
    assert with_special.model.tokens == without.model.tokens
    assert with_special.special_tokens == {END: len(without.model.tokens)}


def test_the_policy_for_special_tokens(tokenizer):
    text, end = f"one{END}two", tokenizer.special_tokens[END]
    with pytest.raises(ValueError, match="name of a special token"):
        tokenizer.encode(text)
    assert tokenizer.encode(text, allowed_special="all") == [*tokenizer.encode("one"), end, *tokenizer.encode("two")]
    assert tokenizer.encode(text, allowed_special={END}, disallowed_special="all").count(end) == 1
    assert end not in tokenizer.encode(text, disallowed_special=())
    assert tokenizer.encode(text, disallowed_special={"<|pad|>"}) == tokenizer.encode(text, disallowed_special=())
    judge = as_tiktoken(tokenizer)
    for policy in (dict(allowed_special="all"), dict(disallowed_special=()), dict(allowed_special={END})):
        assert tokenizer.encode(text, **policy) == judge.encode(text, **policy)
    with pytest.raises(ValueError, match="doesn't name special tokens"):
        tokenizer.encode(text, allowed_special={"<|nobody|>"})


def test_of_two_special_tokens_at_one_place_the_longer_is_meant():
    tokenizer = minillm.Tokenizer.train(["abc"], vocab_size=300, special_tokens=["<a>", "<a><b>"])
    assert tokenizer.encode("<a><b>", allowed_special="all") == [tokenizer.special_tokens["<a><b>"]]


@pytest.mark.parametrize("kind", SAMPLES)
def test_offsets_cover_the_text_byte_by_byte(tokenizer, kind):
    text = SAMPLES[kind] + END
    ids, offsets = tokenizer.encode_with_offsets(text, allowed_special="all")
    data = text.encode()
    assert [tokenizer.decode_bytes([i]) for i in ids] == [data[start:end] for start, end in offsets]
    assert offsets[0][0] == 0 and offsets[-1][1] == len(data)


@given(text=text_strategy)
def test_the_stream_decoder_never_gives_half_a_character(tokenizer, text):
    ids = tokenizer.encode(text)
    parts = list(tokenizer.decode_stream(ids))
    assert "".join(parts) == text
    assert "\ufffd" not in "".join(parts).replace("\ufffd", "", text.count("\ufffd"))


@given(data=st.binary(max_size=40))
def test_the_stream_decoder_agrees_with_decode_on_broken_utf8(tokenizer, data):
    assert "".join(tokenizer.decode_stream(data)) == tokenizer.decode(list(data))


def test_decode_errors(tokenizer):
    assert tokenizer.decode([0xFF]) == "\ufffd" and tokenizer.decode([0xFF], errors="ignore") == ""
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode([0xFF], errors="strict")
    end = tokenizer.special_tokens[END]
    assert tokenizer.decode([end]) == END and tokenizer.decode([97, end], skip_special_tokens=True) == "a"
    assert tokenizer.decode(np.array([97, 98], np.uint16)) == "ab" and tokenizer.decode([]) == ""


@pytest.mark.parametrize("wrong", [-1, 10**6, 1002])
def test_an_id_out_of_range_is_a_sentence(tokenizer, wrong):
    with pytest.raises(ValueError, match=f"no token {wrong}"):
        tokenizer.decode([97, wrong])


def test_ids_that_are_no_integers_are_a_sentence(tokenizer):
    with pytest.raises(ValueError, match="must be integers"):
        tokenizer.decode(np.array([1.0]))


def test_batches_in_processes_are_the_single_texts(tokenizer):
    texts = [*SAMPLES.values(), "", f"x{END}", source_code(200_000), *SAMPLES.values(), source_code(1_100_000)]
    expected = [tokenizer.encode(text, allowed_special={END}) for text in texts]
    for processes in (1, 2):
        assert tokenizer.encode_batch(texts, allowed_special={END}, processes=processes) == expected


def test_the_cache_forgets_and_still_gives_the_same(tokenizer, monkeypatch):
    from minillm.tokenizer import tokenizer as module
    expected = tokenizer.encode(MIXED)
    tokenizer._cache.clear()
    monkeypatch.setattr(tokenizer._cache, "limit", 5)
    assert tokenizer.encode(MIXED) == expected and len(tokenizer._cache) <= 5
    monkeypatch.setattr(module, "LONGEST_REMEMBERED", 3)
    tokenizer._cache.clear()
    assert tokenizer.encode(MIXED) == expected and max(map(len, tokenizer._cache)) <= 3


def test_a_corpus_that_runs_out_of_pairs_ends_with_a_remark(caplog):
    with caplog.at_level(logging.WARNING):
        tokenizer = minillm.Tokenizer.train(["abab"], vocab_size=1000, special_tokens=[END])
    assert "has 259 tokens, not 1000" in caplog.text
    assert tokenizer.vocab_size == 259 and tokenizer.decode(tokenizer.encode("ababab")) == "ababab"


def test_progress_bars_count_to_the_end(capsys):
    minillm.Tokenizer.train([MIXED], vocab_size=300, progress=True)
    printed = capsys.readouterr().err
    assert "counting pieces" in printed and "44/44" in printed


@pytest.mark.parametrize("arguments, sentence", [
    (dict(texts=[]), "corpus is empty"),
    (dict(texts=["", ""]), "corpus is empty"),
    (dict(texts=["a"], vocab_size=257, special_tokens=["<a>", "<b>"]), "alone need 258"),
    (dict(texts=["a"], vocab_size=100), "too small"),
    (dict(texts=["abc 12"], pattern=r"\d+"), "loses text: it does not match 'abc '"),
    (dict(texts=["a"], pattern="(("), "neither a known name"),
    (dict(texts=["a"], special_tokens=["<a>", "<a>"]), "given twice"),
    (dict(texts=["a"], special_tokens=[""]), "empty string"),
    (dict(texts=["a"], model="wordpiece"), "no model 'wordpiece'"),
    (dict(texts=["a"], tie="coin"), "no tie rule"),
    (dict(texts=["a"], processes=0), "1 or more"),
])
def test_bad_training_input_is_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        minillm.Tokenizer.train(**{"processes": 1, **arguments})
