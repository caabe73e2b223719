"""Quoting: whatever a student wrote stays text."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.grading.reports.page import bar, escaped, fenced, marked, page, plain

HOSTILE = "</pre><script>alert(1)</script> ``` | `x` **b** &amp; \x00\x1b[31m \u202e \ud800 \r\n"


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_plain_text_has_no_character_that_cant_be_seen_and_can_be_written(text):
    found = plain(text)
    found.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", found)


def test_ordinary_text_stays_as_it_is():
    assert plain("ε ≤ 1e-5\n\tnaïve 中文 🙂") == "ε ≤ 1e-5\n\tnaïve 中文 🙂"
    assert plain("a\r\nb") == "a\nb" and plain("\u202e") == "\\u202e"


@given(st.text())
def test_escaped_text_is_no_mark_up_and_reads_as_it_was(text):
    found = escaped(text)
    assert not set("<>\"'") & set(found)
    assert html.unescape(found) == plain(text)


@given(st.text(alphabet="`~x\n "))
def test_a_fence_is_longer_than_any_in_the_text(text):
    opening, *inside, closing = fenced(text).split("\n")
    fence = opening.removesuffix("text")
    assert closing == fence and set(fence) == {"`"} and len(fence) >= 3
    assert not any(line.strip().startswith(fence) for line in inside)


@pytest.mark.parametrize("text", ["a|b", "*b*", "<b>", "[x](y)", "# head", "a\nb", "`x`", "$x$", "1 & 2"])
def test_marked_text_is_one_line_without_mark_up(text):
    found = marked(text)
    assert "\n" not in found and not re.search(r"(?<!\\)[|*<>\[\]`#$&]", found)
    assert re.sub(r"\\(.)", r"\1", found) == " ".join(text.split())


def test_a_page_needs_nothing_from_elsewhere_and_runs_no_script():
    made = page(HOSTILE, "<p>body</p>")
    assert "default-src 'none'" in made and "<script" not in made and "<p>body</p>" in made
    assert not re.search(r"(src|href)=\"?(https?:)?//", made)


@pytest.mark.parametrize("share, width", [(0, "0.0"), (0.5, "50.0"), (1, "100.0"), (1.5, "100.0"), (-1, "0.0")])
def test_a_bar_stays_in_its_frame(share, width):
    assert f"width: {width}%" in bar(share)
