"""The demo: all its parts with a small model, and, slowly, whether the real one keeps its word."""

import os
import re
import shlex
import signal

import numpy as np
import pytest
from minillm import cli, demo, load
from minillm.data import gap, tales
from minillm.training import checkpoint
from minillm.training.metrics import Metrics, read
from minillm.training.prepare import prepare
from minillm.training.recipe import Recipe


@pytest.fixture(autouse=True)
def few_tales(monkeypatch, request):
    """A corpus of 300 in place of 12,000, but for the real demo."""
    if "slow" in request.keywords:
        return
    from minillm.training import prepare as module
    corpus = module.corpus
    monkeypatch.setattr(module, "corpus", lambda *sources, **options: corpus(*sources, num_tales=300, **options))
    monkeypatch.setattr(demo, "NUM_TALES", 300)
    monkeypatch.setattr(demo, "MEASURED", 10)
    monkeypatch.setattr(demo, "write", lambda *arguments, write=demo.write, **options: write(*arguments, **options | {"most": 20}))


def tiny() -> Recipe:
    return Recipe.preset("llama-nano").replace(vocab_size=300, d_model=16, num_layers=1, num_heads=2, num_kv_heads=1, d_ff=24, steps=4,
                                               warmup_steps=2, evaluate_batches=1)


def test_all_its_parts_are_printed_in_their_order(tmp_path, capsys, unchecked):
    outcome = demo.demo(tmp_path / "run", tiny(), progress=False, num_judged=3)
    said = capsys.readouterr().out
    parts = ["The corpus: 300 tales", next(tales.stream()).split("\n")[0], "tokens", "a vocabulary of 300", "The model: ", "all random. So it tells",
             "Training: 4 steps of 4 × 256 tokens", "Loss ", "loss.png", "opens again, with the very same numbers", "Now it tells",
             "Of 3 tales that it told", "are tales to the last word", "are not in the corpus", "How far from perfect?", "above the exact", "What next?"]
    places = [said.find(part) for part in parts]
    assert places == sorted(places) and -1 not in places, dict(zip(parts, places))
    assert f"{outcome.prepared.train.documents.num_tokens:,} to train on" in said
    assert len(re.findall(r"^  minillm ", said, re.MULTILINE)) == 3, "three things to try"
    assert {"metrics.jsonl", "loss.png", "checkpoints"} <= {path.name for path in (tmp_path / "run").iterdir()}

    demo.demo(tmp_path / "run", tiny(), progress=False, num_judged=3)
    again = capsys.readouterr().out
    assert "Training goes on" in again and again.partition("Loss ")[2] == said.partition("Loss ")[2], "a finished demo says the same again"


def test_what_it_advises_next_are_commands_and_flags_that_exist(tmp_path, capsys, unchecked):
    demo.demo(tmp_path / "run", tiny(), progress=False, num_judged=1)
    advised = re.findall(r"^  (minillm .*?)(?: {2,}.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(advised) == 3
    for line in advised:
        with pytest.raises(SystemExit) as end:
            cli.main([*shlex.split(line)[1:], "--help"])
        assert end.value.code == 0, line
        described = capsys.readouterr().out
        assert all(word in described for word in line.split() if word.startswith("--")), line


def test_a_checkpoint_that_opens_with_other_numbers_is_said_loudly(tmp_path, capsys, unchecked, monkeypatch):
    def other(folder):
        model, tokenizer = load(folder)
        model.params.flat[0] += 1
        return model, tokenizer

    monkeypatch.setattr("minillm.model.load", other)
    demo.demo(tmp_path / "run", tiny(), progress=False, num_judged=1)
    assert "BUT WITH OTHER NUMBERS" in capsys.readouterr().out


def test_stopped_it_says_how_to_go_on_and_goes_on(tmp_path, capsys, unchecked, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = tiny()
    monkeypatch.setattr(Recipe, "preset", classmethod(lambda cls, name="": recipe))
    write = Metrics.write

    def signalled(self, **line):
        write(self, **line)
        if line["step"] == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(Metrics, "write", signalled)
        cli.main(["demo", "--out", "runs/mine"])
    assert end.value.code == 143
    said = capsys.readouterr().out
    advice = said.splitlines()[-1]
    assert advice == "Stopped by SIGTERM, and saved. Go on with: minillm demo --out runs/mine --resume"
    assert "Now it tells" not in said
    monkeypatch.setattr(demo, "TALES", 2)
    with pytest.raises(SystemExit) as end:
        cli.main(advice.partition("minillm ")[2].split())
    assert end.value.code == 0 and "What next?" in capsys.readouterr().out
    assert [line["step"] for line in read(tmp_path / "runs/mine/metrics.jsonl")] == [0, 1, 2, 3]


def test_judging_counts_tales_and_those_that_are_new():
    known, new = tales.generate(seed=0, n=2), tales.generate(seed=5, n=3)
    texts = [*known, *new, "Once upon a time.", "", new[0] + " And", known[0][:-1]]
    judged = demo.judge(texts, {*known, "Once upon a time."})
    assert judged == (9, 5, 3)
    assert str(judged).startswith("Of 9 tales that it told (temperature 0.8), 5 are tales") and "Of these, 3 are not in the corpus" in str(judged)


def test_texts_are_written_as_many_as_asked_and_end_where_a_tale_ends(tmp_path, unchecked):
    prepared = prepare(tiny(), tmp_path)
    texts = demo.write(prepared.model, prepared.tokenizer, 53)
    assert len(texts) == 53 and len(set(texts)) > 50, "the second fifty are not the first again"
    assert texts[50:] == demo.write(prepared.model, prepared.tokenizer, 3, seed=2), "the same every time"
    assert not any("<|endoftext|>" in text for text in texts)


def test_a_fresh_name_is_the_first_that_is_not_there(tmp_path):
    assert demo.fresh(tmp_path / "demo") == tmp_path / "demo"
    for taken in ("demo", "demo-2", "demo-4"):
        (tmp_path / taken).mkdir()
    assert demo.fresh(tmp_path / "demo") == tmp_path / "demo-3"


@pytest.mark.slow
def test_the_real_demo_keeps_its_word(tmp_path, capsys, unchecked):
    """Measured when it was written, on two cores: 139 of 200 parse, all of those are new; the gap is 0.0032 nats per byte."""
    outcome = demo.demo(tmp_path / "run", progress=False)
    said = capsys.readouterr().out
    texts, told, new = map(int, re.search(r"Of (\d+) tales .*, (\d+) are tales[^$]*Of these, (\d+) are not", said).groups())
    assert texts == 200 and told > 100 and new > told / 2, said
    prepared = outcome.prepared
    model, tokenizer = load(checkpoint.folders(tmp_path / "run")[-1])
    np.testing.assert_array_equal(model.params.flat, prepared.model.params.flat)
    measured = gap.measure(model, prepared.held_out[:100], tokenizer.decode, tales.score, model.config.max_seq_len)
    assert str(measured) in said
    assert -3 * measured.error < measured.per_byte < 0.008, str(measured)
