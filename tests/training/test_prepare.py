"""Text becomes tokens once, foreign shards are used where they are, and what can't be trained on is told before anybody waits."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
import tiny_run
from minillm import Tokenizer
from minillm.data.tokens import Tokens
from minillm.training import prepare as prepare_module
from minillm.training.prepare import prepare
from tiny_run import tiny, written


@pytest.fixture
def text(tmp_path):
    return written(tmp_path)


@pytest.fixture
def encodings(monkeypatch):
    """How often text was encoded."""
    counted, real = [], prepare_module.encode_text

    def encode_text(*arguments):
        counted.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(prepare_module, "encode_text", encode_text)
    return counted


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Token shards with the tokenizer that made them."""
    folder = tmp_path_factory.mktemp("shards")
    prepare(tiny(written(folder)), folder / "run")
    return folder / "run" / "tokens"


def test_text_becomes_tokens_which_say_what_the_text_said(text, tmp_path):
    prepared = prepare(tiny(text), tmp_path / "run")
    documents = Tokens(tmp_path / "run" / "tokens").documents
    decoded = [prepared.tokenizer.decode(documents.document(i)[:-1].tolist()) for i in range(len(documents))]
    assert [document.strip() for document in decoded] == tiny_run.TEXT.split("\n\n")
    assert len(prepared.train.documents) + len(prepared.held_out) == 60
    assert not {*prepared.train.documents.numbers} & {*prepared.held_out.numbers}
    assert (prepared.train.batch_size, prepared.train.context, prepared.train.seed) == (3, 32, 3)
    assert prepared.model.config == tiny(text).model


def test_the_seed_decides_the_first_weights_and_the_order_and_not_what_is_held_out(text, tmp_path):
    one, same, other = (prepare(tiny(text, seed=seed), tmp_path / "run") for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.model.params.flat, same.model.params.flat)
    assert (one.model.params.flat != other.model.params.flat).any()
    assert (one.train.batch(0).tokens == same.train.batch(0).tokens).all() and (one.train.batch(0).tokens != other.train.batch(0).tokens).any()
    assert one.held_out.numbers.tolist() == other.held_out.numbers.tolist()
    assert one.validation.fingerprint == other.validation.fingerprint, "validation losses of two seeds must be comparable"


def test_tokens_are_made_once(text, tmp_path, encodings):
    for changes in ({}, {"batch_size": 2, "context": 16, "order": "packed", "validation": 0.3}, {"lr": 0.5, "num_layers": 1}):
        prepare(tiny(text, **changes), tmp_path / "run")
    assert len(encodings) == 1, "only what the tokens depend on makes them anew"


@pytest.mark.parametrize("changes", [{"vocab_size": 320}, {"separate": "file", "validation": 0.0}])
def test_tokens_are_made_anew_for_another_text_or_vocabulary(text, tmp_path, encodings, changes):
    prepare(tiny(text), tmp_path / "run")
    first = Tokens(tmp_path / "run" / "tokens")
    try:
        prepare(tiny(text, **changes), tmp_path / "run")
    finally:
        assert len(encodings) == 2
    assert Tokens(tmp_path / "run" / "tokens").shards[0].header.sha256 != first.shards[0].header.sha256


def test_tokens_are_made_anew_when_a_file_has_changed_and_kept_once_the_run_has_begun(text, tmp_path, encodings):
    prepare(tiny(text), tmp_path / "run")
    written(tmp_path, tiny_run.TEXT + "\n\nand one more document")
    assert len(Tokens(prepare(tiny(text), tmp_path / "run").train.documents.tokens.folder).documents) == 61
    assert len(encodings) == 2
    (tmp_path / "run" / "checkpoints" / "step-00000000").mkdir(parents=True)
    written(tmp_path, "something else")
    prepare(tiny(text), tmp_path / "run")
    text.unlink()
    prepare(tiny(text), tmp_path / "run")
    assert len(encodings) == 2, "a run that is resumed must find its own tokens"


def test_standard_input_is_read_again_only_while_no_run_has_begun(tmp_path, monkeypatch, encodings):
    for said in (tiny_run.TEXT, tiny_run.TEXT + "\n\nmore"):
        read, write = os.pipe()
        os.write(write, said.encode())
        os.close(write)
        with os.fdopen(read) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            prepare(tiny("-"), tmp_path / "run")
    assert len(Tokens(tmp_path / "run" / "tokens").documents) == 61
    (tmp_path / "run" / "checkpoints" / "step-00000000").mkdir(parents=True)
    monkeypatch.setattr(sys, "stdin", None)
    prepare(tiny("-"), tmp_path / "run")
    assert len(encodings) == 2


def test_an_encoding_that_is_stopped_leaves_no_half_folder(text, tmp_path, monkeypatch):
    def stopped(*arguments):
        (arguments[2] / "00000.bin").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "encode_text", stopped)
    (tmp_path / "run").mkdir()
    with pytest.raises(KeyboardInterrupt):
        prepare(tiny(text), tmp_path / "run")
    assert [*(tmp_path / "run").iterdir()] == []


def test_what_a_killed_encoding_left_is_swept_up(text, tmp_path):
    rest = tmp_path / "run" / ".tokens.new-12ab"
    rest.mkdir(parents=True)
    (rest / "00000.bin").write_bytes(b"half")
    prepare(tiny(text), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["tokens"]


def test_a_folder_that_somebody_else_made_is_not_replaced(text, tmp_path):
    (tmp_path / "run" / "tokens").mkdir(parents=True)
    (tmp_path / "run" / "tokens" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="tokens is in the way"):
        prepare(tiny(text), tmp_path / "run")
    assert (tmp_path / "run" / "tokens" / "thesis.txt").exists()


# --- shards and tokenizers of others -----------------------------------------------------------------------------------------

def test_token_shards_are_used_where_they_are_with_their_tokenizer(shards, tmp_path, encodings):
    prepared = prepare(tiny(shards), tmp_path / "run")
    assert prepared.tokenizer.hash() == Tokens(shards).tokenizer
    assert not encodings and not (tmp_path / "run").exists()


def test_token_shards_without_a_tokenizer_are_trained_on_without_one(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.json").unlink()
    assert prepare(tiny(tmp_path / "bare"), tmp_path / "run").tokenizer is None
    named = prepare(tiny(tmp_path / "bare", tokenizer=str(shards / "tokenizer.json")), tmp_path / "run")
    assert named.tokenizer.hash() == Tokens(shards).tokenizer


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "tokenizer.json"
    Tokenizer.train(["some other text altogether " * 9], 262, special_tokens=["<|endoftext|>"]).save(path)
    return path


def test_a_tokenizer_that_did_not_make_the_shards_is_refused(shards, foreign, tmp_path):
    with pytest.raises(ValueError, match="were not made by the tokenizer"):
        prepare(tiny(shards, tokenizer=str(foreign)), tmp_path / "run")


def test_a_given_tokenizer_encodes_the_text(text, foreign, tmp_path):
    prepared = prepare(tiny(text, tokenizer=str(foreign)), tmp_path / "run")
    assert prepared.tokenizer.vocab_size == 262
    assert prepared.tokenizer.hash() == Tokens(tmp_path / "run" / "tokens").tokenizer == Tokenizer.load(foreign).hash()


# --- what can't be -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("changes", "sentence"), [
    ({"context": 33}, r"Rows of 33 tokens don't fit into a model of max_seq_len = 32"),
    ({"vocab_size": 200}, "A vocabulary of 200 tokens is too small"),
    ({"data": ("nowhere.txt",)}, "There is no file or folder nowhere.txt"),
    ({"tokenizer": "nowhere.json"}, "nowhere.json"),
    ({"separate": "file"}, "has 1 documents: too few to keep 10% of them for validation"),
    ({"validation": 0.001}, "too few to keep"),
])
def test_what_can_not_be_trained_is_a_sentence(text, tmp_path, changes, sentence):
    with pytest.raises((ValueError, OSError), match=sentence):
        prepare(tiny(text, **changes), tmp_path / "run")


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(text, foreign, shards, tmp_path):
    with pytest.raises(ValueError, match="has 262 tokens, but the model knows only 260: give it vocab_size = 262"):
        prepare(tiny(text, tokenizer=str(foreign), vocab_size=260), tmp_path / "run")
    assert not (tmp_path / "run" / "tokens").exists()
    with pytest.raises(ValueError, match="from a vocabulary of 300, but the model knows only 260"):
        prepare(tiny(shards, vocab_size=260), tmp_path / "run")


@pytest.mark.parametrize(("said", "purpose"), [("a b", "Training"), ("\n\n".join("ab" for _ in range(40)), "Validation")])
def test_too_little_text_says_for_what(tmp_path, said, purpose):
    recipe = tiny(written(tmp_path, said), validation=0.0 if purpose == "Training" else 0.05)
    with pytest.raises(ValueError, match=f"{purpose}: There are \\d+ tokens, and random rows need at least 33"):
        prepare(recipe, tmp_path / "run")


def test_without_validation_every_document_is_trained_on(text, tmp_path):
    prepared = prepare(tiny(text, validation=0.0), tmp_path / "run")
    assert prepared.validation is None and prepared.held_out is None and len(prepared.train.documents) == 60


def test_a_model_that_can_not_be_is_told_before_the_text_is_encoded(text, tmp_path, encodings):
    with pytest.raises(ValueError, match='The device is "cpu" or "cuda"'):
        prepare(tiny(text), tmp_path / "run", device="tpu")
    assert not encodings


def test_what_the_tokens_were_made_from_stands_beside_them(text, tmp_path):
    prepare(tiny(text), tmp_path / "run")
    said = json.loads((tmp_path / "run" / "tokens" / "made-from.json").read_text())
    assert said["data"] == [str(text)] and said["vocab_size"] == 300
