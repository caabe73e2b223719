"""`minillm evaluate` and what stands behind it: the right documents, the right figures, and sentences for all else."""

import json
import re
from math import isclose, log

import numpy as np
import pytest
from minillm import Config, Tokenizer, Transformer, cli, evaluation, load, save
from minillm.data import tales
from minillm.data.corpora import corpus
from minillm.data.gap import measure as measure_gap
from minillm.data.tokens import Tokens, encode, uniform

END = ["<|endoftext|>"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(iter(corpus("tales", num_tales=100)), 400, special_tokens=END)


@pytest.fixture(scope="module")
def place(tokenizer, tmp_path_factory):
    """A run with tokens of its own, texts, shards of another tokenizer, and a model without a tokenizer."""
    place = tmp_path_factory.mktemp("place")
    model = Transformer(Config(vocab_size=400, d_model=16, num_layers=1, num_heads=2, d_ff=16, max_seq_len=192), seed=0)
    save(place / "run" / "checkpoints" / "step-00000007", model, tokenizer)
    save(place / "bare", model)
    encode(corpus("tales", num_tales=120), tokenizer, place / "run" / "tokens")
    other = Tokenizer.train(["another text altogether, " * 40], 300, special_tokens=END)
    encode(["one", "two", "three"], other, place / "other")
    save(place / "endless", model, Tokenizer.train(["a text " * 40], 270))
    (place / "text.txt").write_text("One text.\n\nAnother text.\n\nAnd a third one.\n")
    (place / "empty.txt").write_text(" \n")
    return place


def run(capsys, *words):
    assert cli.run(["evaluate", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_a_run_is_evaluated_on_the_documents_that_training_kept_back(place, tokenizer, capsys):
    found = json.loads(run(capsys, place / "run", "--json"))
    model = Transformer(Config(vocab_size=400, d_model=16, num_layers=1, num_heads=2, d_ff=16, max_seq_len=192), seed=0)
    texts = [text for text, at in zip(tales.generate(0, 120), uniform(np.arange(120), 0)) if at < 0.1]
    nats = tokens = 0
    for text in texts:
        ids = [tokenizer.special_tokens[END[0]], *tokenizer.encode(text), tokenizer.special_tokens[END[0]]]
        assert len(ids) <= 193
        loss, _ = model.forward(np.array([ids[:-1]]), np.array([ids[1:]]))
        nats, tokens = nats + loss * (len(ids) - 1), tokens + len(ids) - 1
    size = sum(len(text.encode()) for text in texts)
    assert (found["documents"], found["tokens"], found["bytes"]) == (len(texts), tokens, size)
    assert isclose(found["loss"], nats / tokens, rel_tol=1e-5)
    assert isclose(found["bits_per_byte"], nats / log(2) / size, rel_tol=1e-5)
    assert isclose(found["perplexity"], np.exp(nats / tokens), rel_tol=1e-4)


def test_the_gap_of_tales_is_the_one_that_is_measured_alone(place, tokenizer):
    model, _ = load(place / "run")
    report = evaluation.evaluate(model, tokenizer, [place / "run" / "tokens"])
    alone = measure_gap(model, Tokens(place / "run" / "tokens").split(0.1)[1], tokenizer.decode, tales.score, 192)
    np.testing.assert_allclose(report.gap, alone, rtol=1e-5)
    assert report.gap.documents == len(report.likelihood.nats)
    middle = int(np.median(report.likelihood.tokens))
    shorter = evaluation.evaluate(model, tokenizer, [place / "run" / "tokens"], context=middle)
    assert 0 < shorter.gap.left_out == int((shorter.likelihood.tokens > middle).sum())


def test_the_split_is_all_of_it_or_one_side_or_the_other(place, capsys):
    counts = {split: json.loads(run(capsys, place / "run", "--split", split, "--validation", "0.3", "--json"))["documents"]
              for split in ("all", "training", "validation")}
    assert counts["all"] == 120 == counts["training"] + counts["validation"] and 20 < counts["validation"] < 55
    assert json.loads(run(capsys, place / "run", "--split", "all", "--documents", "5", "--json"))["documents"] == 5


def test_text_is_encoded_with_the_models_own_tokenizer_and_leaves_nothing_behind(place, tokenizer, capsys, monkeypatch, tmp_path):
    import tempfile
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = json.loads(run(capsys, place / "run", "--data", place / "text.txt", "--separate", "blank-line", "--split", "all", "--json"))
    assert found["documents"] == 3 and "gap" not in found
    assert found["tokens"] == 3 + sum(len(tokenizer.encode(text)) for text in ("One text.", "Another text.", "And a third one.\n"))
    assert found["bytes"] == sum(map(len, ("One text.", "Another text.", "And a third one.\n")))
    assert not [*tmp_path.iterdir()]


def test_what_is_printed_can_be_read(place, capsys):
    out = run(capsys, place / "run", "--tasks", "--questions", "8", "--documents", "4")
    assert "(validation): 4 documents" in out and "nats per token" in out and "above the exact entropy" in out
    assert "by chance 25.0% (8 questions about tales)" in out
    only = run(capsys, place / "run" / "checkpoints" / "step-00000007", "--data", place / "text.txt", "--split", "all")
    assert "±" not in only and "questions" not in only, "one document can't tell its error"
    assert "tokens (validation)" in run(capsys, place / "run" / "checkpoints" / "step-00000007"), "a checkpoint finds the tokens of its run"


def test_a_gpu_finds_what_the_cpu_finds(place, capsys, gpu):
    words = [place / "run", "--documents", "4", "--tasks", "--questions", "3", "--json"]
    expected, *found = (json.loads(run(capsys, *words, *more)) for more in ([], ["--device", "cuda", "--precision", "fp32"], ["--device", "cuda"]))
    for each, tolerance in zip(found, (1e-5, 2e-2), strict=True):
        for name in ("loss", "perplexity", "bits_per_byte"):
            assert isclose(each[name], expected[name], rel_tol=tolerance)
        assert each["tokens"] == expected["tokens"] and each["gap"]["documents"] == expected["gap"]["documents"]
    assert found[0]["tasks"]["accuracy"] == expected["tasks"]["accuracy"] and found[0] != found[1]


@pytest.mark.parametrize(("words", "sentence"), [
    (["run", "--precision", "bf16"], "bf16 is for a GPU"),
    (["bare", "--data", "text.txt"], "without a tokenizer, so it can't be said how many bytes"),
    (["bare", "--tasks"], "without a tokenizer, so it can't read questions"),
    (["bare"], "no tokens of its own"),
    (["run", "--data", "other"], "made by another tokenizer"),
    (["run", "--data", "nowhere"], "There is no file or folder .*nowhere"),
    (["run", "--data", "empty.txt"], "is empty"),
    (["run", "--data", "text.txt"], "too few to keep 10% of them"),
    (["run", "--data", "text.txt", "--split", "all", "--documents", "0"], "At least one document"),
    (["run", "--data", "text.txt", "--split", "all", "--stride", "300"], "A stride of 300"),
    (["endless", "--data", "text.txt"], "no special token to end documents with"),
    (["nowhere"], "There is no folder"),
])
def test_what_can_not_be_evaluated_is_told(place, words, sentence, capsys):
    named = [str(place / word) if (place / word).exists() or word in ("nowhere",) else word for word in words]
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", *named])
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.startswith("minillm: ") and "a bug of ours" not in said
    assert re.search(sentence, said), said
