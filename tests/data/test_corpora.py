"""Corpora: the built-in ones, and what the user has: files, patterns, folders, standard input."""

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.data import tales
from minillm.data.corpora import SEPARATORS, corpus, decode, documents


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    for name, text in [("b.txt", "beta\n"), ("a.txt", "alpha\n"), ("sub/c.md", "gamma\n\ndelta\n"), (".hidden", "no"), (".git/x.txt", "no")]:
        (tmp_path / name).write_text(text)
    return tmp_path


def test_tales_are_those_of_the_seed():
    assert list(corpus("tales", num_tales=5, seed=3)) == tales.generate(seed=3, n=5)


def test_the_python_docs_are_english_about_python():
    texts = list(corpus("python-docs"))
    assert len(texts) > 50 and any('The "if" statement' in text for text in texts)
    words = re.findall(r"[a-z]+", " ".join(texts))
    assert len(words) > 20_000 and words.count("the") > len(words) / 50


def test_the_standard_library_is_code_without_its_tests():
    texts = list(corpus("stdlib"))
    assert len(texts) > 300
    assert any("class ArgumentParser" in text for text in texts) and not any("class TestCase(unittest.TestCase)" in text for text in texts)


def test_a_corpus_gives_the_same_documents_each_time():
    for name in ("tales", "python-docs"):
        one = corpus(name, num_tales=20)
        assert list(one) == list(one) == list(corpus(name, num_tales=20))


def test_files_folders_and_patterns_come_in_the_order_of_their_names_without_hidden_ones(folder):
    assert list(corpus(folder)) == ["alpha\n", "beta\n", "gamma\n\ndelta\n"]
    assert list(corpus(str(folder / "*.txt"))) == ["alpha\n", "beta\n"]
    assert list(corpus(str(folder / "**/*.md"), folder / "b.txt")) == ["gamma\n\ndelta\n", "beta\n"]


def test_the_size_counts_documents_and_bytes(tmp_path):
    (tmp_path / "x.txt").write_text("süß\n", encoding="utf-8")
    assert str(corpus(tmp_path / "x.txt").size()) == "1 document, 6 bytes of UTF-8"
    assert corpus("tales", num_tales=3).size() == (corpus("tales", num_tales=3)).size()
    assert corpus("tales", num_tales=3).size().bytes == sum(len(text) for text in tales.generate(0, 3))


def test_standard_input_is_read_once_and_gives_its_documents_again(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n\ntwo\r\nlines\n \n\n\nthree")))
    stdin = corpus("-", separate="blank-line")
    assert list(stdin) == ["one", "two\nlines", "three"] == list(stdin)


@given(parts=st.lists(st.text("abc \n", min_size=1).filter(lambda part: part.strip() and "\n" not in part.strip()), min_size=1))
def test_documents_are_what_stands_between_separators(parts):
    parts = [part.strip() for part in parts]
    assert list(documents("\n\n".join(parts), "blank-line")) == parts
    assert list(documents("\n<|endoftext|>".join(parts) + "<|endoftext|>\n", "endoftext")) == parts
    assert list(documents("\n\n".join(parts), "file")) == ["\n\n".join(parts)]


def test_blank_documents_are_left_out_and_nothing_else_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("  \n")
    (tmp_path / "b.txt").write_text("text")
    assert list(corpus(tmp_path)) == ["text"]
    with pytest.raises(ValueError, match="a.txt is empty: there is no document"):
        list(corpus(tmp_path / "a.txt"))


@pytest.mark.parametrize("data, sentence", [
    (b"abc\0def", r"isn't text: byte 3 is zero"),
    ("abc\nd".encode() + b"\xffe", r"isn't UTF-8: byte 5, 0xff in line 2, can't be decoded"),
    (b"\xef\xbb\xbfab\xe4", r"isn't UTF-8: byte 5, 0xe4 in line 1"),
    ("äö".encode()[:3], r"isn't UTF-8: byte 2, 0xc3 in line 1"),
])
def test_what_is_no_text_is_told_with_the_place(data, sentence, tmp_path):
    (tmp_path / "file.bin").write_bytes(data)
    with pytest.raises(ValueError, match="file.bin " + sentence):
        list(corpus(tmp_path))


def test_a_byte_order_mark_and_windows_line_ends_are_no_text():
    assert decode("\ufeffa\r\nb".encode(), "x") == "a\nb"


@pytest.mark.parametrize("sources, settings, sentence", [
    ((), {}, "Which corpus"),
    (("tails",), {}, "no file or folder tails, and no built-in corpus of that name; the built-in ones are tales, python-docs, stdlib"),
    (("no/*.txt",), {}, r"No file matches the pattern no/\*.txt"),
    (("tales",), {"separate": "line"}, "can't be separated by 'line'; choose " + ", ".join(SEPARATORS)),
    (("tales",), {"num_tales": 0}, "0 tales"),
])
def test_what_is_not_there_is_told_at_once(sources, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        corpus(*sources, **settings)


def test_an_empty_folder_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="There are no files in the folder"):
        corpus(tmp_path)
