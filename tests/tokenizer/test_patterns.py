"""Cutting into pieces: nothing is lost, the fast engine is the exact one, and what is settled stays so."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm.tokenizer import patterns
from minillm.tokenizer.patterns import PATTERNS, Pattern
from token_samples import MIXED, SAMPLES, TRICKY, chunked, text_strategy

NAMES = sorted(set(PATTERNS))
BELOW_U10000 = [character for character in TRICKY if character < "\U00010000"]


@pytest.mark.parametrize("name", NAMES)
@given(text=text_strategy)
def test_the_pieces_join_to_the_text(name, text):
    assert "".join(Pattern(name).split(text)) == text


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
@given(text=st.text(alphabet=BELOW_U10000, max_size=80))
def test_pythons_re_cuts_as_regex_does(name, text):
    source = PATTERNS[name]
    assert patterns._translated(source).findall(text) == regex.findall(source, text)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_every_character_below_u10000_is_classed_alike_by_both_engines(name):
    text = "".join(f"a{chr(i)}1 {chr(i)}" for i in range(0x10000) if not 0xD800 <= i < 0xE000)
    assert patterns._translated(PATTERNS[name]).findall(text) == regex.findall(PATTERNS[name], text)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=300)
@given(text=st.text(alphabet=TRICKY, max_size=30), more=st.text(alphabet=TRICKY, max_size=12))
def test_what_is_settled_stays_so_whatever_follows(name, text, more):
    pattern = Pattern(name)
    cut = pattern.settled(text)
    assert pattern.split(text[:cut]) + pattern.split(text[cut:] + more) == pattern.split(text + more)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
@settings(max_examples=300)
@given(text=st.text(alphabet="aB中1 \n\t'!/.s", max_size=30), more=st.text(alphabet="aB中1 \n\t'!/.s", max_size=12))
def test_sure_places_are_sure(name, text, more):
    pattern = Pattern(name)
    for found in pattern.sure_cut.finditer(text):
        cut = found.start()
        assert pattern.split(text[:cut]) + pattern.split(text[cut:] + more) == pattern.split(text + more)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_most_of_a_long_text_is_settled(name):
    for kind, text in SAMPLES.items():
        if kind == "chinese" and name in ("spaces", "words"):
            continue                                     # without spaces it is one word indeed
        text = text * 20
        assert Pattern(name).settled(text) > len(text) * 0.8, f"{name} would hold back most of the {kind}"


def test_known_cuts():
    assert Pattern("gpt2").split("Hello world's 2024!!\n") == ["Hello", " world", "'s", " 2024", "!!", "\n"]
    assert Pattern("gpt4").split("HE'LL say 12345\n\n  x") == ["HE", "'LL", " say", " ", "123", "45", "\n\n", " ", " x"]
    assert Pattern("qwen2").split("a123") == ["a", "1", "2", "3"]
    assert Pattern("o200k").split("camelCase don't x/\n/y") == ["camel", "Case", " don't", " x", "/\n/", "y"]
    assert Pattern("whitespace").split("don't stop  now") == ["don't", " stop", " ", " now"]
    assert Pattern("none").split("a b") == ["a b"]


def test_a_pattern_of_ones_own_may_leave_gaps_which_become_pieces():
    pattern = Pattern(r"\d+")
    assert pattern.split("ab12cd3") == ["ab", "12", "cd", "3"]
    assert pattern.lost("ab12") == "ab" and pattern.lost("12ab") == "ab" and pattern.lost("12") == ""


def test_groups_in_a_pattern_of_ones_own_do_no_harm():
    assert Pattern(r"(a)(b)|.").split("abc") == ["ab", "c"]


def test_a_known_pattern_is_recognised_by_its_text():
    assert Pattern(PATTERNS["o200k"]).name == "o200k"


def test_a_broken_pattern_is_a_sentence():
    with pytest.raises(ValueError, match="neither a known name"):
        Pattern("(unclosed")


def test_chunks_of_the_helper_join():
    assert "".join(chunked(MIXED, 3)) == MIXED
