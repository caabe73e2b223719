"""`minillm tokenizer …` as a stranger uses it, with wrong input too."""

import os
import re

import pytest
from minillm import cli
from minillm.tokenizer import report
from token_samples import MIXED, SAMPLES, source_code


def run(*words, code=0):
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    assert end.value.code == code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    (folder / "text.txt").write_bytes((MIXED + source_code(20_000)).encode())
    (folder / "small.txt").write_bytes(SAMPLES["emoji"].encode())
    run("tokenizer", "train", folder / "text.txt", "--vocab-size", 500, "--out", folder / "new" / "a.json")
    run("tokenizer", "train", folder / "text.txt", "--vocab-size", 600, "--out", folder / "b", "--model", "unigram")
    return folder


def test_train_says_what_it_made(folder, capsys):
    run("tokenizer", "train", folder / "text.txt", "--vocab-size", 300, "--out", folder / "c.tiktoken", "--pattern", "gpt2", "--processes", 1)
    assert re.search(r"c.tiktoken: 300 tokens, \d\.\d\d bytes per token", capsys.readouterr().out)


def test_encode_and_decode_give_the_text_back(folder, capsys):
    run("tokenizer", "encode", folder / "text.txt", folder / "small.txt", "--tokenizer", folder / "new" / "a.json", "--out", folder / "shards",
        "--shard-tokens", 1000)
    assert "2 documents" in capsys.readouterr().out
    shards = sorted((folder / "shards").glob("*.bin"))
    run("tokenizer", "decode", *shards, "--tokenizer", folder / "new" / "a.json")
    assert capsys.readouterr().out == MIXED + source_code(20_000) + "<|endoftext|>" + SAMPLES["emoji"] + "<|endoftext|>"


def test_decode_ids(folder, capsys):
    run("tokenizer", "decode", "97", "98,", "33", "--tokenizer", folder / "new" / "a.json")
    assert capsys.readouterr().out == "ab!\n"


def test_inspect_shows_every_token_of_the_text(folder, capsys):
    run("tokenizer", "inspect", folder / "new" / "a.json", "--text", "Hello, world\t!", "--png", folder / "inspect.png")
    printed = capsys.readouterr().out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    assert plain.startswith(r"Hello, world\t!") and "The longest tokens" in plain
    assert all(kind in plain for kind in report.KINDS)
    assert (folder / "inspect.png").read_bytes().startswith(b"\x89PNG")


def test_compare_puts_tokenizers_side_by_side(folder, capsys):
    run("tokenizer", "compare", folder / "new" / "a.json", folder / "b", "--file", folder / "text.txt", "--png", folder / "compare.png")
    lines = capsys.readouterr().out.splitlines()
    a = next(line for line in lines if line.startswith("a.json")).split()
    assert a[1] == "500" and any(line.split()[0] == "b" for line in lines if line)
    tokens, rate = int(a[2].replace(",", "")), float(a[3])
    assert rate == pytest.approx((folder / "text.txt").stat().st_size / tokens, abs=0.01)
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words, sentence", [
    (["train", "nowhere.txt"], "There is no file nowhere.txt"),
    (["train", "{text}", "--vocab-size", 5], "too small"),
    (["train", "{text}", "--pattern", "(("], "neither a known name"),
    (["train", "{text}", "--pattern", "[a-z]+"], "loses text"),
    (["train", "{text}", "--special-tokens", "<a>", "<a>"], "given twice"),
    (["train"], "at least one file"),
    (["train", "{folder}"], "is a folder; name the files in it"),
    (["train", "{text}", "--model", "unigram", "--out", "x.tiktoken"], "byte-level BPE only"),
    (["train", "{text}", "--model", "unigram", "--pattern", "gpt2"], "takes neither a pattern"),
    (["train", "{text}", "--out", "{text}/x.json"], "isn't a folder in which you may write"),
    (["train", "{text}", "--out", "{text}"], "means a folder"),
    (["train", "{text}", "--out", "{folder}/dir.json"], "its name means a file"),
    (["encode", "{text}", "--tokenizer", "{json}", "--out", "{text}"], "is a file; the shards need a folder"),
    (["encode", "{text}", "--tokenizer", "{json}", "--out", "x", "--shard-tokens", 0], "1 token or more"),
    (["decode", "--tokenizer", "{json}"], "at least one token id"),
    (["decode", "9" * 30, "--tokenizer", "{json}"], "no token 999"),
    (["compare", "--file", "{text}"], "at least one tokenizer"),
    (["encode", "{text}", "--tokenizer", "{text}", "--out", "x"], "isn't a tokenizer"),
    (["decode", "1", "two", "--tokenizer", "{json}"], "'two' is neither"),
    (["decode", "100000", "--tokenizer", "{json}"], "no token 100000"),
    (["decode", "nowhere.bin", "--tokenizer", "{json}"], "There is no file"),
    (["inspect", "nowhere.json"], "There is no file"),
    (["inspect", "{json}", "--text", "a", "--file", "{text}"], "not both"),
    (["compare", "{json}", "--file", "nowhere"], "There is no file"),
])
def test_wrong_input_is_one_sentence_and_exit_1(folder, capsys, words, sentence):
    (folder / "dir.json").mkdir(exist_ok=True)
    places = {"text": folder / "text.txt", "json": folder / "new" / "a.json", "folder": folder}
    run("tokenizer", *(str(word).format(**places) for word in words), code=1)
    printed = capsys.readouterr().err
    assert sentence in printed and "Traceback" not in printed and printed.startswith("minillm: ")


def test_a_binary_file_gets_a_remark(folder, caplog):
    (folder / "binary").write_bytes(bytes(range(256)) * 20)
    run("tokenizer", "encode", folder / "binary", "--tokenizer", folder / "new" / "a.json", "--out", folder / "of binary")
    assert "doesn't look like text in UTF-8" in caplog.text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a full disk is played by Linux's /dev/full")
def test_a_full_disk_is_one_sentence(folder, capsys, monkeypatch):
    def fails(*_):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
    monkeypatch.setattr("minillm.data.shards.write_file", fails)
    run("tokenizer", "encode", folder / "text.txt", "--tokenizer", folder / "new" / "a.json", "--out", folder / "full", code=1)
    assert "No space left on device" in capsys.readouterr().err


def test_what_isnt_printable_shows_as_bytes():
    assert report.visible(b"\xe4\xbd") == r"\xe4\xbd" and report.visible(b"a\n\t") == "a⏎\n\\t" and report.visible(b" \xc3\xa9") == " é"


def test_a_table_keeps_its_columns():
    assert report.table(["a", "n"], [["long name", 1234], ["b", 1.5]]).splitlines() == ["a              n", "long name  1,234", "b           1.50"]
