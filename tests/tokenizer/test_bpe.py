"""Byte-pair encoding: the fast trainer and encoder against the plain ones, and against the tokenizers library."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm.tokenizer import bpe, naive
from minillm.tokenizer.patterns import Pattern
from minillm.tokenizer.training import count_pieces
from token_samples import MIXED, source_code
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

# Few letters, so that there are many ties, runs and overlaps.
corpora = st.dictionaries(st.binary(min_size=1, max_size=12).map(lambda data: bytes(97 + byte % 3 for byte in data)),
                          st.integers(1, 5), min_size=1, max_size=6)


def as_bytes(tokens, merges):
    return [(tokens[left], tokens[right]) for left, right in merges]


@settings(max_examples=150)
@given(pieces=corpora)
def test_fast_training_is_naive_training(pieces):
    assert as_bytes(*bpe.train(pieces, 30)) == naive.train_bpe(pieces, 30)


def test_fast_training_is_naive_training_on_real_text():
    pieces = {piece.encode(): count for piece, count in count_pieces([source_code(10_000), MIXED], Pattern("gpt4")).items()}
    assert as_bytes(*bpe.train(pieces, 100)) == naive.train_bpe(pieces, 100)


@settings(max_examples=100)
@given(pieces=corpora, piece=st.binary(max_size=120).map(lambda data: bytes(97 + byte % 3 for byte in data)))
def test_fast_encoding_is_naive_encoding(pieces, piece):
    tokens, merges = bpe.train(pieces, 30)
    model = bpe.ByteBPE(tokens, bpe.Merges(merges, range(256, len(tokens))))
    expected = naive.encode_bpe(piece, as_bytes(tokens, merges))
    assert [tokens[i] for i in model.encode_piece(piece.decode())] == expected


@settings(max_examples=100)
@given(pieces=corpora, piece=st.lists(st.sampled_from([97, 98, 99]), max_size=150))
def test_long_pieces_are_merged_as_short_ones_are(pieces, piece):
    tokens, merges = bpe.train(pieces, 30)
    table = bpe.Merges(merges, range(256, len(tokens)))
    plain = naive.encode_bpe(bytes(piece), as_bytes(tokens, merges))
    assert [tokens[i] for i in table._apply_to_long(piece)] == plain


@settings(max_examples=100)
@given(pieces=corpora)
def test_the_tokens_alone_say_how_to_merge(pieces):
    """As tiktoken reads a vocabulary: so nothing is lost by saving one in its format."""
    tokens, merges = bpe.train(pieces, 30)
    learnt, read = bpe.Merges(merges, range(256, len(tokens))), bpe.merges_from_ranks(tokens)
    for piece in pieces:
        assert learnt.apply(list(piece)) == read.apply(list(piece))


def test_no_two_tokens_are_the_same_bytes():
    for seed in range(300):
        generator = random.Random(seed)
        pieces = {bytes(generator.choices(b"ab", k=generator.randint(1, 14))): generator.randint(1, 4) for _ in range(4)}
        tokens, _ = bpe.train(pieces, 40)
        assert len(set(tokens)) == len(tokens), pieces


def test_ties_go_to_the_greatest_pair_of_byte_strings():
    tokens, merges = bpe.train({b"ab": 1, b"zz": 1, b"az": 1}, 3)
    assert tokens[256:] == [b"zz", b"az", b"ab"]
    tokens, _ = bpe.train({b"abx": 2, b"aby": 2, b"abcx": 1}, 3)            # (ab, y) before (ab, x); a longer string before its beginning
    assert tokens[256:] == [b"ab", b"aby", b"abx"]


def test_of_a_string_and_its_beginning_the_longer_is_greater():
    tokens, _ = bpe.train({b"bc": 5, b"abc": 2, b"ab": 2}, 3)               # (a, bc) and (a, b) are both there twice
    assert tokens[256:] == [b"bc", b"abc", b"ab"]


def test_the_other_tie_rule_goes_to_the_oldest_ids():
    tokens, _ = bpe.train({b"ab": 1, b"zz": 1, b" z": 1}, 3, tie="oldest-ids")
    assert tokens[256:] == [b"ab", b"zz", b" z"]                            # a space comes late in GPT-2's order of the bytes


def test_min_count_leaves_rare_pairs_alone():
    tokens, _ = bpe.train({b"ab": 3, b"cd": 2}, 5, min_count=3)
    assert tokens[256:] == [b"ab"]


@pytest.mark.parametrize("kind", ["code", "mixed", "few letters"])
def test_with_its_tie_rule_the_merges_are_those_of_the_tokenizers_library(kind):
    text = {"code": source_code(100_000), "mixed": MIXED * 2,
            "few letters": " ".join("".join(random.Random(seed).choices("ab", k=seed % 15)) for seed in range(300))}[kind]
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.train_from_iterator([text], trainers.BpeTrainer(vocab_size=800, show_progress=False,
                                                           initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    wanted = [tuple(merge) for merge in json.loads(theirs.to_str())["model"]["merges"]]
    counts = count_pieces([text], Pattern("gpt2"))
    pieces = {piece.encode(): count for piece, count in counts.items()}
    tokens, merges = bpe.train(pieces, len(wanted), tie="oldest-ids")
    spelled = [tuple("".join(bpe.BYTE_TO_CHAR[byte] for byte in tokens[i]) for i in pair) for pair in merges]
    assert spelled == wanted

    if kind != "code":                                                      # the same rule, for the plain trainer
        age = {token: bpe.oldest_ids(i, token) for i, token in enumerate(tokens)}
        assert naive.train_bpe(pieces, 60, lambda left, right: (-age[left], -age[right])) == as_bytes(tokens, merges)[:60]


def test_a_word_of_a_million_letters_takes_n_log_n_steps(monkeypatch):
    """Counted, not timed: each doubling of the word may make little more than twice the heap operations."""
    tokens, merges = bpe.train({b"ab" * 64: 2, b"ba": 1}, 6)
    table = bpe.Merges(merges, range(256, len(tokens)))
    pops = []
    real = bpe.heapq.heappop
    monkeypatch.setattr(bpe.heapq, "heappop", lambda heap: pops.append(1) or real(heap))
    work = []
    for n in (2_000, 4_000, 8_000):
        pops.clear()
        assert b"".join(tokens[i] for i in table.apply(list(b"ab" * n))) == b"ab" * n
        work.append(len(pops))
    assert work[1] <= 2.1 * work[0] and work[2] <= 2.1 * work[1], work


def test_an_unknown_tie_rule_is_a_sentence():
    with pytest.raises(ValueError, match="no tie rule"):
        bpe.train({b"ab": 1}, 1, tie="alphabetical")


def test_a_vocabulary_without_all_bytes_is_refused():
    with pytest.raises(ValueError, match="lacks 255 of the 256"):
        bpe.ByteBPE([b"a"], bpe.Merges([], []))
