"""Whatever holds a model opens: its own folder, a checkpoint, a whole training run."""

import json

import numpy as np
import pytest
import minillm
from minillm import cli
from minillm.model.folders import folders, model_folder
from minillm.tokenizer import Tokenizer

CONFIG = minillm.Config(vocab_size=300, d_model=8, num_layers=1, num_heads=1, d_ff=8, max_seq_len=16)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(["the cat sat on the mat. " * 20], 270, special_tokens=["<|endoftext|>"])


@pytest.fixture
def run(tmp_path, tokenizer):
    """A run with three checkpoints, of which the second is the best. A model's seed is its step."""
    for step in (1, 2, 10):
        minillm.save(tmp_path / "run" / "checkpoints" / f"step-{step:08}", minillm.Transformer(CONFIG, seed=step), tokenizer)
    (tmp_path / "run" / "best.json").write_text(json.dumps({"checkpoint": "step-00000002", "loss": 1.5}))
    return tmp_path / "run"


def seed_of(folder):
    model, _ = minillm.load(folder)
    return next(seed for seed in (1, 2, 10) if np.array_equal(model.params.flat, minillm.Transformer(CONFIG, seed).params.flat))


def test_a_run_opens_at_its_best_checkpoint_and_a_checkpoint_at_itself(run):
    assert seed_of(run) == 2
    assert seed_of(run / "checkpoints" / "step-00000001") == 1
    assert seed_of(str(run)) == 2, "a run may be named by a string"


def test_without_a_best_checkpoint_the_last_one_opens(run):
    (run / "best.json").write_text(json.dumps({"checkpoint": "step-00000004", "loss": 1.0}))
    assert seed_of(run) == 10, "the best one is gone"
    (run / "best.json").unlink()
    assert seed_of(run) == 10, "no best one is known"


def test_a_half_written_checkpoint_is_none(run):
    (run / "best.json").unlink()
    (run / "checkpoints" / ".step-00000011.new-12ab").mkdir()
    assert model_folder(run).name == "step-00000010"
    assert not any(folder.name.startswith(".") for folder in folders(run))


def test_a_copy_that_somebody_made_is_none(run):
    names = [folder.name for folder in folders(run)]
    (run / "checkpoints" / "step-00000099-copy").mkdir()
    (run / "checkpoints" / "step-").mkdir()
    assert [folder.name for folder in folders(run)] == names, "it would be removed as the oldest, or opened as the newest"


@pytest.mark.parametrize(("files", "name", "sentence"), [
    ([], "nowhere", "There is no folder .*nowhere"),
    (["a.txt"], "a.txt", "a.txt is a file"),
    (["a.txt"], "", "has no config.json and no checkpoints"),
    (["metrics.jsonl"], "", "a training run without a checkpoint"),
    (["checkpoints/.step-00000001.new-12ab/config.json"], "", "a training run without a checkpoint"),
])
def test_what_holds_no_model_is_told(tmp_path, files, name, sentence):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    with pytest.raises((ValueError, OSError), match=sentence):
        minillm.load(tmp_path / name)


def test_a_best_json_that_names_nothing_is_told(run):
    (run / "best.json").write_text('{"checkpoint": 3}')
    with pytest.raises(ValueError, match="best.json must name a checkpoint"):
        minillm.load(run)


def test_the_command_line_writes_with_a_run(run, capsys):
    assert cli.run(["generate", str(run), "--prompt", "the cat", "--max-new-tokens", "3", "--seed", "1"]) == 0
    of_run = capsys.readouterr().out
    assert cli.run(["generate", str(run / "checkpoints" / "step-00000002"), "--prompt", "the cat", "--max-new-tokens", "3", "--seed", "1"]) == 0
    assert of_run.startswith("the cat") and of_run == capsys.readouterr().out
