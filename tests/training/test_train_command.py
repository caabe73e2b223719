"""`minillm train` as a stranger uses it, with wrong input too: exit codes, what is said, and no traceback anywhere."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from minillm import arrays, cli, load
from minillm.training import checkpoint
from minillm.training.metrics import Metrics, read
from tiny_run import TRAINING, flags, tiny, written


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """--threads holds for the process; here it is taken back."""
    monkeypatch.setattr(arrays, "_threads", arrays._threads)


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)                  # a run whose folder nobody named lands here
    return written(tmp_path)


@pytest.fixture
def train(capsys):
    """Runs the command and gives what it printed; `code` is the exit code that it must have."""
    def run(*words, code=0):
        with pytest.raises(SystemExit) as end:
            cli.main(["train", *map(str, words)])
        printed = capsys.readouterr()
        assert end.value.code == code, f"exit code {end.value.code}, not {code}: {printed.out}{printed.err}"
        assert "Traceback" not in printed.err and "a bug of ours" not in printed.err and "tyro" not in printed.err + printed.out, printed.err
        return printed.out if code == 0 else " ".join((printed.out + printed.err).replace("│", " ").split())
    return run


def test_a_model_is_trained_and_what_can_be_done_with_it_is_said(text, train, tmp_path, capsys):
    said = train(*flags(text), "--out", tmp_path / "run")
    result = read(tmp_path / "run" / "metrics.jsonl")[-1]
    assert f"After 8 steps: loss {result['loss']:.4f} nats per token, {result['validation']:.4f} on validation" in said
    assert "8 steps on" in said and "loss.png" in said
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    advice = said.splitlines()[-1].partition("minillm generate ")[2].split()
    with pytest.raises(SystemExit) as end:
        cli.main(["generate", *advice, "--max-new-tokens", "5"])
    assert end.value.code == 0, "what the command advises must work"
    capsys.readouterr()

    again = train("--out", tmp_path / "run", "--resume")
    assert again.splitlines()[1:] == said.splitlines()[1:], "a finished run says the same again"
    for change, difference in (("--lr", "lr was 0.003 and is 0.5"), ("--eps", "eps was 1e-08 and is 0.5")):
        assert difference in train("--out", tmp_path / "run", "--resume", change, 0.5, code=1)
    assert "leave out --preset and --config" in train("--out", tmp_path / "run", "--resume", "--preset", "llama-nano", code=1)
    assert "already holds a run" in train(*flags(text), "--out", tmp_path / "run", code=1)


def test_the_flags_are_the_fields_of_the_recipe(text, train, tmp_path):
    from minillm.training.recipe import Recipe
    train(*flags(text, steps=1, sample_every=1, ema=0.5), "--num-kv-heads=1", "--tied", "--out", tmp_path / "run", "--threads", 1)
    recipe = Recipe.read(tmp_path / "run" / "recipe.json")
    assert recipe == tiny(text, steps=1, sample_every=1, ema=0.5, num_kv_heads=1, tied=True)


def test_a_recipe_from_a_file_is_changed_by_flags(text, train, tmp_path):
    recipe = tiny(text, steps=3)
    recipe.write(tmp_path / "recipe.json")
    assert "After 2 steps" in train("--config", tmp_path / "recipe.json", "--steps", 2, "--out", tmp_path / "run")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_with_the_code_that_a_shell_expects_and_resumed_it_has_the_same_bits(text, train, tmp_path, monkeypatch, number, code,
                                                                                                     unchecked):
    train(*flags(text), "--out", tmp_path / "whole")
    write = Metrics.write

    def signalled(self, **line):
        write(self, **line)
        if line["step"] == 4:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", signalled)
        said = train(*flags(text), "--out", tmp_path / "run", code=code)
    name = signal.Signals(number).name
    assert f"Stopped by {name} after step 5, and saved. Go on with: minillm train --out {tmp_path / 'run'} --resume" in said
    assert checkpoint.folders(tmp_path / "run")[-1].name == "step-00000005"
    assert (tmp_path / "run" / "loss.png").exists()
    assert "After 8 steps" in train("--out", tmp_path / "run", "--resume")
    models = [load(checkpoint.folders(tmp_path / each)[-1])[0].params.flat for each in ("whole", "run")]
    np.testing.assert_array_equal(*models)


def test_as_a_process_it_holds_its_folder_and_ctrl_c_stops_it(text, train, tmp_path):
    command = [sys.executable, "-m", "minillm", "train", *flags(text, steps=1_000_000), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while process.poll() is None and not read(tmp_path / "run" / "metrics.jsonl"):
            time.sleep(0.05)
        assert f"is being trained by another process (process {process.pid})" in train(*flags(text), "--out", tmp_path / "run", "--resume", code=1)
    finally:
        process.send_signal(signal.SIGINT)
        said, problems = process.communicate(timeout=60)
    assert process.returncode == 130, problems
    assert "Stopped by SIGINT" in said and "Traceback" not in problems
    last = read(tmp_path / "run" / "metrics.jsonl")[-1]["step"]
    assert checkpoint.folders(tmp_path / "run")[-1].name == f"step-{last + 1:08}"


@pytest.mark.parametrize(("words", "code", "sentence"), [
    (["--preset", "llama-nano", "--config", "x.toml"], 1, "Give --preset or --config, not both"),
    (["--preset", "llama-nan"], 1, "There is no preset 'llama-nan'"),
    (["--preset"], 2, "Missing value"),
    (["--config", "nowhere.toml"], 1, "nowhere.toml: No such file or directory"),
    (["--config", "."], 1, "Is a directory"),
    (["--config", "bad.toml"], 1, "bad.toml can't be read as TOML"),
    (["--config", "text.txt"], 1, "text.txt can't be read as TOML"),
    (["--resume", "--out", "nowhere"], 1, "nowhere has no recipe.json"),
    (["--resume"], 1, "runs/model has no recipe.json"),
    (["--resume", "--out"], 1, "runs/model has no recipe.json"),
    (["--data", "nowhere.txt"], 1, "There is no file or folder nowhere.txt"),
    (["--data", ""], 1, "names no data"),
    (["--data"], 1, "names no data"),
    (["--lr", "abc"], 2, "could not convert"),
    (["--lr", "nan"], 1, "lr must be above 0, not nan"),
    (["--weight-decay", "nan"], 1, "weight_decay must be a finite number"),
    (["--steps", "0"], 1, "steps must be at least 1"),
    (["--steps", "1e3"], 2, "--steps"),
    (["--nonsense", "3"], 2, "Unrecognized"),
    (["--num-heads", "5"], 1, "num_heads = 5 doesn't divide by num_kv_heads = 2"),
    (["--num-layers", "0"], 1, "num_layers must be a whole number of at least 1"),
    (["--context", "64"], 1, "Rows of 64 tokens don't fit"),
    (["--order", "shuffled"], 2, "invalid choice"),
    (["--validation", "1"], 1, "validation is the share"),
    (["--seed", "-1"], 1, "seed must be 0 or more"),
    (["--threads", "0"], 1, "number of threads must be 1 or more"),
    (["--threads", "many"], 2, "--threads"),
    (["--device", "tpu"], 2, "invalid choice"),
    (["--vocab-size", "3"], 1, "A vocabulary of 3 tokens is too small"),
    (["--out", "text.txt"], 1, "text.txt can't be written to (File exists). Choose another folder"),
    (["--out", "text.txt/run"], 1, "can't be written to (Not a directory). Choose another folder"),
    (["--tokenizer", "text.txt"], 1, "text.txt"),
    (["--tokenizer", "nowhere.json"], 1, "nowhere.json"),
    (["--data", "tales\0"], 1, ""),
])
def test_bad_input_is_a_sentence(text, train, tmp_path, words, code, sentence):
    (tmp_path / "bad.toml").write_text("[model")
    given = flags(text) if words[0] not in ("--preset", "--config", "--resume") else []
    assert sentence in train(*given, *words, code=code)


def test_a_gpu_that_is_not_there_is_a_sentence(text, train, tmp_path, monkeypatch):
    import importlib.util
    if importlib.util.find_spec("cupy"):
        import cupy
        try:
            cupy.cuda.runtime.getDeviceCount()
            pytest.skip("there is a GPU")
        except cupy.cuda.runtime.CUDARuntimeError:
            pass
    said = train(*flags(text), "--device", "cuda", "--out", tmp_path / "run", code=1)
    assert ("no NVIDIA driver" in said or "no GPU is visible" in said or "CuPy, which isn't installed" in said) and "minillm doctor" in said
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert "CuPy, which isn't installed" in train(*flags(text), "--device", "cuda", "--out", tmp_path / "run", code=1)


def test_a_folder_that_can_not_be_written_to_is_told_before_anything_is_done(text, train, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("who runs this may write everywhere")
    assert "can't be written to (Permission denied). Choose another folder" in train(*flags(text), "--out", tmp_path / "locked" / "run", code=1)


def test_a_full_disk_is_told_before_training(text, train, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    assert "Free some space, keep fewer checkpoints, or choose another disk" in train(*flags(text), "--out", tmp_path / "run", code=1)
    assert not checkpoint.folders(tmp_path / "run") and not read(tmp_path / "run" / "metrics.jsonl")


def test_a_model_beyond_the_memory_is_a_sentence(text, train, tmp_path, monkeypatch):
    def too_large(*arguments, **options):
        raise MemoryError("Unable to allocate 650 GiB for an array")

    monkeypatch.setattr("minillm.training.prepare.Transformer", too_large)
    assert "there isn't enough memory (Unable to allocate 650 GiB" in train(*flags(text), "--out", tmp_path / "run", code=1)


def test_help_lists_every_field_with_the_default_of_the_preset(train, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = train("--preset", "gpt-nano", "--help")
    assert "--preset" in said
    for name in ("--d-model", "--order", "--sample-every", "--resume", "--threads"):
        assert name in said
    assert "d-model INT (default: 192)" in " ".join(said.split()), "the defaults are those of gpt-nano"


def test_a_killed_process_leaves_a_run_that_goes_on(text, train, tmp_path, monkeypatch, unchecked):
    """What SIGKILL leaves: a half-written checkpoint, half a line, a half-encoded text."""
    write = Metrics.write

    def killed(self, **line):
        write(self, **line)
        if line["step"] == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", killed)
        train(*flags(text), "--out", tmp_path / "run", code=130)
    (tmp_path / "run" / "checkpoints" / ".step-00000004.new-12ab").mkdir()
    with (tmp_path / "run" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 5, "los')
    assert "After 8 steps" in train("--out", tmp_path / "run", "--resume")
    assert [line["step"] for line in read(tmp_path / "run" / "metrics.jsonl")] == [*range(TRAINING["steps"])]
    assert not [*(tmp_path / "run").rglob(".*")], "what was half-written is still there"
