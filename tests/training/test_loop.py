"""A run survives: resumed it has the same bits, stopped it has saved, gone bad it says where."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import minillm
from minillm import Config, Transformer, updates
from minillm.checks import guarded
from minillm.kernels import EMULATED
from minillm.training import TrainingProblem, checkpoint
from minillm.training.metrics import read
from minillm.training.run_folder import claimed

SETTINGS = dict(steps=12, warmup_steps=3, evaluate_every=4, checkpoint_every=3, evaluate_batches=2, keep=2, seed=3)


class Counting:
    """Rows that count upwards from a random start: batch s is a function of s."""

    def __init__(self, fingerprint="counting"):
        self.fingerprint = fingerprint

    def batch(self, step):
        start = np.random.default_rng([7, step]).integers(0, 32, (4, 1))
        rows = (start + np.arange(17)) % 32
        return rows[:, :-1], rows[:, 1:], None


def fresh(**changes) -> Transformer:
    return Transformer(Config(**dict(vocab_size=32, d_model=16, num_layers=2, num_heads=2, d_ff=24, max_seq_len=16, dropout=0.1) | changes))


def run(model, out=None, resume=False, data=None, **changes):
    return minillm.train(model, data or Counting(), Counting(), out=out, resume=resume, progress=False, **SETTINGS | changes)


class Crash(Exception):
    pass


def crash_at(step):
    def on_step(done, loss):
        if done == step:
            raise Crash
    return on_step


def test_the_loss_falls():
    model = fresh(dropout=0.0)
    result = run(model, steps=60, lr=1e-2)
    assert result.validation < 1.0, f"counting to 32 should be learnt in 60 steps, but the loss is {result.validation:.2f} (ln 32 = 3.47)"


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("crash", [1, 2, 3, 7, 11])
def test_a_run_that_crashed_and_was_resumed_ends_with_the_same_bits(tmp_path, crash, ema):
    whole, resumed = fresh(), fresh()
    expected = run(whole, tmp_path / "whole", ema=ema)
    with pytest.raises(Crash):
        run(fresh(), tmp_path / "run", on_step=crash_at(crash), ema=ema)
    result = run(resumed, tmp_path / "run", resume=True, ema=ema)
    assert result.steps == expected.steps and result.loss == expected.loss and result.best == expected.best
    np.testing.assert_array_equal(whole.params.flat, resumed.params.flat)
    if ema:
        np.testing.assert_array_equal(expected.ema, result.ema)
    for quantity in ("loss", "norm", "lr", "validation"):
        values = [[line.get(quantity) for line in read(tmp_path / name / "metrics.jsonl")] for name in ("whole", "run")]
        assert values[0] == values[1], f"{quantity} in metrics.jsonl differs"
    assert [line["step"] for line in read(tmp_path / "run" / "metrics.jsonl")] == list(range(12)), "each step has one line"


def test_micro_batches_and_recomputing_change_the_result_by_rounding_only():
    results = []
    for changes in ({}, {"micro_batches": 2}, {"recompute": True}):
        model = fresh()
        run(model, **changes)
        results.append(model.params.flat)
    np.testing.assert_array_equal(results[0], results[2], "recomputing changes no bit")
    np.testing.assert_allclose(results[0], results[1], atol=2e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_number_of_threads_gives_the_gradient_of_the_whole_batch(threads, monkeypatch):
    from minillm import arrays
    from minillm.training.step import Gradients, loss_and_grads
    monkeypatch.setattr(arrays, "_threads", threads)
    model = Transformer(fresh().config, dtype="float64")
    tokens, targets, _ = Counting().batch(0)
    targets = np.where(np.arange(16) < np.array([[16], [3], [9], [1]]), targets, -100)      # very unequal slices
    expected_loss, expected = model.loss_and_grads(tokens, targets, dropout_key=5)
    gradients = Gradients(model.params)
    for _ in range(2):                           # the buffers are used again
        loss, _ = loss_and_grads(model, tokens, targets, gradients, dropout_key=5)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(gradients.total.flat, expected.flat, rtol=0, atol=1e-14 * np.abs(expected.flat).max() * 100)


def test_a_table_of_kernels_trains_with_its_own_updates(monkeypatch):
    """Also behind a counter or a guard. On the kernels the run goes as it does on the reference."""
    on_reference, on_kernels = fresh(), Transformer(fresh().config, ops=guarded(EMULATED))
    run(on_reference, ema=0.9)
    monkeypatch.setattr(updates, "adamw", None)
    run(on_kernels, ema=0.9)
    assert updates.of(on_reference.ops) is updates and updates.of(on_kernels.ops) is EMULATED.updates
    np.testing.assert_allclose(on_kernels.params.flat, on_reference.params.flat, rtol=0, atol=1e-3)


def test_only_the_newest_checkpoints_and_the_best_are_kept(tmp_path):
    run(fresh(), tmp_path / "run")
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    names = [folder.name for folder in checkpoint.folders(tmp_path / "run")]
    assert names[-2:] == ["step-00000009", "step-00000012"]
    assert best["checkpoint"] in names and len(names) <= 3
    lowest = min(line["validation"] for line in read(tmp_path / "run" / "metrics.jsonl") if "validation" in line)
    assert best["loss"] == lowest


def test_a_checkpoint_is_a_model_that_loads(tmp_path):
    model = fresh()
    run(model, tmp_path / "run")
    loaded, _ = minillm.load(checkpoint.folders(tmp_path / "run")[-1])
    np.testing.assert_array_equal(loaded.params.flat, model.params.flat)


def test_a_folder_with_a_run_is_not_overwritten_by_accident(tmp_path):
    run(fresh(), tmp_path / "run")
    with pytest.raises(ValueError, match="already holds a run .*--resume"):
        run(fresh(), tmp_path / "run")


@pytest.mark.parametrize(("model", "changes", "data", "said"), [
    ({}, {"lr": 0.5}, None, "lr was 0.003 and is 0.5"),
    ({}, {}, "other", "the data is another"),
    ({"d_ff": 32}, {}, None, "d_ff was 24 and is 32"),
])
def test_resuming_with_something_else_says_what_differs(tmp_path, model, changes, data, said):
    run(fresh(), tmp_path / "run")
    with pytest.raises(ValueError, match=f"can't be resumed.*{said}"):
        run(fresh(**model), tmp_path / "run", resume=True, data=Counting(data) if data else None, **changes)


def test_two_processes_can_not_train_in_one_folder(tmp_path):
    with claimed(tmp_path / "run"), pytest.raises(ValueError, match=f"another process .process {os.getpid()}"):
        run(fresh(), tmp_path / "run")


def test_a_nan_stops_before_the_step_and_names_its_place(tmp_path):
    model = fresh()
    before = model.params.flat.copy()
    model.params["layers.1.up.weight"][2, 3] = before[0] * np.nan
    bad = model.params.flat.copy()
    with pytest.raises(TrainingProblem, match=r"Step 0 was not taken.*layers\.1: linear\.forward.*learning rate"):
        run(model, tmp_path / "run")
    np.testing.assert_array_equal(model.params.flat, bad, "the step was taken")


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(tmp_path, monkeypatch, capsys):
    real, calls = checkpoint.save, []

    def sometimes_full(*arguments):
        calls.append(arguments)
        if len(calls) in (2, 3):
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(checkpoint, "save", sometimes_full)
    assert run(fresh(), tmp_path / "run").steps == 12
    assert capsys.readouterr().err.count("No space left on device") == 2


def test_too_little_room_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(ValueError, match="checkpoints of .* need"):
        run(fresh(), tmp_path / "run")


PROGRAM = textwrap.dedent("""
    import sys
    sys.path.insert(0, {tests!r})
    from training.test_loop import Counting, SETTINGS, fresh
    import minillm
    model = fresh()
    result = minillm.train(model, Counting(), Counting(), out={out!r}, resume=True, progress=False,
                           on_step=lambda step, loss: print(step, flush=True), **SETTINGS | dict(steps={steps}))
    print("stopped by", result.stopped_by, flush=True)
""")


def start(out, steps=40) -> subprocess.Popen:
    code = PROGRAM.format(tests=os.path.dirname(os.path.dirname(__file__)), out=str(out), steps=steps)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_returns(tmp_path, number):
    process = start(tmp_path / "run", steps=100_000)
    for line in process.stdout:
        if line.strip() == "5":
            break
    process.send_signal(number)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and f"stopped by {signal.Signals(number).name}" in rest
    last = max([5, *(int(line) for line in rest.split("\n") if line.isdigit())])
    assert checkpoint.folders(tmp_path / "run")[-1].name == f"step-{last:08}"


@pytest.mark.slow
def test_a_run_killed_fifty_times_at_any_moment_ends_with_the_bits_of_an_undisturbed_one(tmp_path):
    steps = 300                                  # more than fifty tries of a few steps each can reach
    whole = fresh()
    minillm.train(whole, Counting(), Counting(), progress=False, **SETTINGS | dict(steps=steps))
    seed = int.from_bytes(os.urandom(4))
    rng = np.random.default_rng(seed)
    while_saving = 0
    for _ in range(50):
        process = start(tmp_path / "run", steps)
        for _ in range(rng.integers(1, 5)):      # a checkpoint comes every third step
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        process.wait()
        process.stdout.close()
        while_saving += any((tmp_path / "run" / "checkpoints").glob(".*"))
    process = start(tmp_path / "run", steps)
    process.communicate(timeout=300)
    assert process.returncode == 0
    loaded, _ = minillm.load(checkpoint.folders(tmp_path / "run")[-1])
    np.testing.assert_array_equal(loaded.params.flat, whole.params.flat, f"seed {seed}")
    assert while_saving, "no kill fell into the writing of a checkpoint: the test is weaker than it says"
    assert not any((tmp_path / "run" / "checkpoints").glob(".*")), "what killed processes left half-written is still there"


def test_the_progress_line_names_the_peak_that_each_share_is_of():
    from minillm.training.loop import shown
    line = {"loss": 2.5, "tokens_per_second": 1234.5, "mfu_measured": 0.5, "mfu_data_sheet": 0.25}
    assert shown(line, 3.0) == "loss 2.500, 1,234 tokens/s, validation 3.000, 50% of the measured peak, 25% of the data sheet's peak"
    assert "peak" not in shown({"loss": 2.5, "tokens_per_second": 1.0}, None), "unknown, so not printed"


@pytest.mark.parametrize("pieces", [2, 3, 4, 9])
def test_an_evaluation_takes_as_few_rows_at_a_time_as_training_and_comes_to_the_same(pieces):
    rows = []
    expected = minillm.train(fresh(), Counting(), Counting(), progress=False, **SETTINGS | {"steps": 1, "lr": 1e-12}).validation
    model = fresh()
    forward = model.forward
    model.forward = lambda tokens, *rest, **options: (options.get("gradients") is False and rows.append(len(tokens))) or forward(tokens, *rest, **options)
    result = minillm.train(model, Counting(), Counting(), progress=False, **SETTINGS | {"steps": 1, "lr": 1e-12, "micro_batches": pieces})
    assert result.validation == pytest.approx(expected, rel=1e-6) and max(rows) == -(-4 // pieces)
