"""Training on a GPU: the steps that the host doesn't wait for come to what the CPU's come to, and survive what those survive. On the
stand-in for CuPy; with MINILLM_TEST_DEVICE=cuda on a card."""

import os

import numpy as np
import pytest
from test_loop import Counting, Crash, crash_at, fresh
from tiny_run import flags, written

import minillm
from minillm import Transformer
from minillm.arrays import on_host
from minillm.cost import fitting, mfu
from minillm.training import TrainingProblem, checkpoint
from minillm.training.metrics import read
from minillm.training.on_gpu import GPUSteps

SETTINGS = dict(steps=7, warmup_steps=2, evaluate_every=4, checkpoint_every=3, evaluate_batches=2, keep=2, seed=3)
ON_THE_STAND_IN = pytest.mark.skipif(os.environ.get("MINILLM_TEST_DEVICE") == "cuda", reason="CuPy doesn't tell whether the host waits")
slow = lambda *values: pytest.param(*values, marks=pytest.mark.slow)         # noqa: E731


def on(device, dtype="float32", **changes):
    return Transformer(fresh(**changes).config, dtype=dtype, device=device)


def run(model, out=None, resume=False, data=None, **changes):
    return minillm.train(model, data or Counting(), Counting(), out=out, resume=resume, progress=False, **SETTINGS | changes)


def losses(folder):
    lines = read(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(len(lines))), "each step has one line, in order"
    return [line["loss"] for line in lines]


def flat(model):
    return on_host(model.params.flat)


class Packed(Counting):
    """Rows of two documents, with padding that counts for nothing: a different number of targets in every row and step."""

    def batch(self, step):
        tokens, targets, _ = super().batch(step)
        ends = np.random.default_rng([8, step]).integers(6, 17, (4, 1))
        return tokens, np.where(np.arange(16) < ends, targets, -100), (np.arange(16) >= ends // 2).astype(np.int64) * np.ones((4, 1), np.int64)


@pytest.mark.parametrize("data, changes", [
    (Packed(), {"micro_batches": 2, "ema": 0.9}), slow(Counting(), {}), slow(Counting(), {"micro_batches": 4}), slow(Packed(), {"recompute": True}),
    slow(Packed(), {"label_smoothing": 0.1, "z_loss": 1e-3, "micro_batches": 2})], ids=lambda x: str(x) if isinstance(x, dict) else type(x).__name__)
def test_the_losses_are_those_of_the_cpu(gpu, tmp_path, data, changes):
    """With dropout: the masks too are the same, also of micro-batches."""
    here, there = on("cpu"), on("cuda")
    expected, result = (run(model, tmp_path / model.device, data=data, **changes) for model in (here, there))
    np.testing.assert_allclose(losses(tmp_path / "cuda"), losses(tmp_path / "cpu"), rtol=2e-4)
    assert result.validation == pytest.approx(expected.validation, rel=2e-4)
    if expected.ema is not None:
        np.testing.assert_allclose(on_host(result.ema), expected.ema, atol=2e-3)
    for name in ("tokens", "lr"):
        one, two = ([line[name] for line in read(tmp_path / device / "metrics.jsonl")] for device in ("cpu", "cuda"))
        assert one == two


def test_in_bfloat16_they_stay_near(gpu, tmp_path):
    run(on("cpu", dropout=0.0), tmp_path / "cpu")
    run(on("cuda", "bfloat16", dropout=0.0), tmp_path / "cuda")
    np.testing.assert_allclose(losses(tmp_path / "cuda"), losses(tmp_path / "cpu"), rtol=2e-2)
    assert losses(tmp_path / "cuda") != losses(tmp_path / "cpu")


def test_in_bfloat16_the_copy_is_the_rounded_masters(gpu):
    model = on("cuda", "bfloat16")
    settings = minillm.training.Settings(**SETTINGS)
    state = minillm.training.steps.State(model.params.zeros().flat, model.params.zeros().flat, None)
    steps = GPUSteps(model, Counting(), settings, state)
    with steps.running():
        for step in range(4):
            steps.start(step)
        steps.outcomes(wait=True)
    assert steps.params is not model.params
    assert on_host(steps.params.flat).tobytes() == flat(model).astype(steps.params.dtype).tobytes()


def started(model, count, data=None, **changes):
    """The steps after so many have been begun, and what has been heard of them."""
    state = minillm.training.steps.State(model.params.zeros().flat, model.params.zeros().flat, None)
    steps, heard = GPUSteps(model, data or Counting(), minillm.training.Settings(**SETTINGS | changes), state), []
    with steps.running():
        for step in range(count):
            steps.start(step)
            heard.append([outcome.step for outcome in steps.outcomes(wait=False)])
        heard.append([outcome.step for outcome in steps.outcomes(wait=True)])
    return steps, heard


def test_a_step_is_heard_of_one_later(gpu):
    _, heard = started(on("cuda"), 4)
    assert heard == [[], [0], [1], [2], [3]]


@ON_THE_STAND_IN
@pytest.mark.parametrize("dtype", ["bfloat16", slow("float32")])
def test_the_host_does_not_wait_inside_a_step_and_hears_of_it_while_the_next_one_runs(gpu, dtype):
    model, settings = on("cuda", dtype), minillm.training.Settings(**SETTINGS | dict(steps=8, micro_batches=2, ema=0.9))
    steps = GPUSteps(model, Packed(), settings, minillm.training.steps.State(*(model.params.zeros().flat for _ in range(3))))
    with steps.running(), gpu.watching() as seen:
        for step in range(8):
            with gpu.waiting(False):
                steps.start(step)
            steps.outcomes(wait=False)
        waits = [one for one in seen if one.kind == "wait"]
    assert len(waits) >= 3 and all(one.left for one in waits), "the GPU has nothing to do while the host waits"


def test_after_a_few_steps_the_gpu_repeats_a_graph(gpu):
    steps, _ = started(on("cuda"), 6, micro_batches=2)
    assert steps.micro_batch.mode == steps.finish.mode == "graph", (steps.micro_batch.why, steps.finish.why)


@pytest.mark.parametrize("crash, dtype", [(4, "bfloat16"), slow(1, "float32"), slow(2, "bfloat16"), slow(6, "float32")])
def test_a_run_that_crashed_and_was_resumed_ends_with_the_same_bits(gpu, tmp_path, crash, dtype):
    whole, resumed = on("cuda", dtype), on("cuda", dtype)
    expected = run(whole, tmp_path / "whole", ema=0.9)
    with pytest.raises(Crash):
        run(on("cuda", dtype), tmp_path / "run", on_step=crash_at(crash), ema=0.9)
    result = run(resumed, tmp_path / "run", resume=True, ema=0.9)
    assert flat(whole).tobytes() == flat(resumed).tobytes() and on_host(expected.ema).tobytes() == on_host(result.ema).tobytes()
    assert losses(tmp_path / "run") == losses(tmp_path / "whole") and result.best == expected.best


@pytest.mark.parametrize("first, then", [("cpu", "cuda"), slow("cuda", "cpu")])
def test_a_run_goes_on_on_another_device(gpu, tmp_path, first, then):
    with pytest.raises(Crash):
        run(on(first), tmp_path / "run", on_step=crash_at(4))
    run(on(then), tmp_path / "run", resume=True)
    run(on("cpu"), tmp_path / "whole")
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=2e-4)


def test_a_checkpoint_opens_on_the_cpu(gpu, tmp_path):
    model = on("cuda", "bfloat16")
    run(model, tmp_path / "run")
    loaded, _ = minillm.load(checkpoint.folders(tmp_path / "run")[-1])
    assert flat(model).tobytes() == loaded.params.flat.tobytes(), "the float32 masters"


class Poisoned(Counting):
    """In step 5 one target lies outside of the vocabulary."""

    def batch(self, step):
        tokens, targets, documents = super().batch(step)
        if step == 5:
            targets = targets.copy()
            targets[1, 3] = 99
        return tokens, targets, documents


@pytest.mark.parametrize("dtype", ["bfloat16", slow("float32")])
def test_a_step_that_is_not_finite_is_not_taken_nor_any_after_it(gpu, tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(Transformer, "refuse", lambda *batch: None)          # so that the kernels see the target, and make NaN of it
    whole, model = on("cuda", dtype), on("cuda", dtype)
    run(whole, tmp_path / "whole", keep=9, checkpoint_every=1)
    with pytest.raises((TrainingProblem, ValueError), match="Step 5 was not taken: its loss is nan"):
        run(model, tmp_path / "run", data=Poisoned(), evaluate_every=0, checkpoint_every=0)
    before, _ = minillm.load(tmp_path / "whole" / "checkpoints" / "step-00000005")
    assert flat(model).tobytes() == before.params.flat.tobytes(), "the parameters are those from before step 5"
    saved = checkpoint.load_state(tmp_path / "run" / "checkpoints" / "step-00000005", before.params.flat.size)
    good = checkpoint.load_state(tmp_path / "whole" / "checkpoints" / "step-00000005", before.params.flat.size)
    assert saved.m.tobytes() == good.m.tobytes() and saved.v.tobytes() == good.v.tobytes()


def test_a_bad_step_is_told_also_where_there_is_no_room_to_look_for_its_cause(gpu, monkeypatch):
    def full(*_):
        raise MemoryError("the GPU is full")

    monkeypatch.setattr(Transformer, "refuse", lambda *batch: None)
    monkeypatch.setattr("minillm.training.loop.Trainer.repeat_guarded", full)
    with pytest.raises(TrainingProblem, match="Step 5 was not taken: its loss is nan .* there is no memory left to look for the operation"):
        run(on("cuda"), data=Poisoned(), evaluate_every=0, checkpoint_every=0)


def test_a_batch_that_no_model_can_read_is_refused(gpu):
    with pytest.raises(ValueError, match="Target 99 in row 1, position 3, is outside the vocabulary"):
        started(on("cuda"), 6, Poisoned())


def test_any_seed_will_do(gpu):
    """Masks are made from 64 bits of it and the step's number."""
    run(on("cuda"), steps=1, seed=2**33 + 1)


def test_nothing_of_a_run_is_left_on_the_gpu(gpu):
    """Without Python's collector of cycles."""
    model = on("cuda", dropout=0.0)
    run(model, steps=5)
    before = gpu.get_default_memory_pool().used_bytes()
    run(model, steps=5)
    assert gpu.get_default_memory_pool().used_bytes() == before


def test_rows_that_do_not_make_equal_micro_batches_are_refused(gpu):
    with pytest.raises(ValueError, match="4 rows don't make 3 equal ones: take 4"):
        run(on("cuda"), micro_batches=3)


def test_batches_of_changing_shape_are_refused(gpu):
    class Growing(Counting):
        def batch(self, step):
            tokens, targets, documents = super().batch(step)
            return tokens[:4 - step], targets[:4 - step], documents

    with pytest.raises(ValueError, match=r"all batches have one shape, but after \(4, 16\) comes \(3, 16\), in step 1"):
        run(on("cuda"), data=Growing())


def test_a_batch_that_can_not_be_made_is_said_where_it_is_needed(gpu):
    class Broken(Counting):
        def batch(self, step):
            if step == 3:
                raise OSError("the disk is gone")
            return super().batch(step)

    with pytest.raises(OSError, match="the disk is gone"):
        run(on("cuda"), data=Broken())


@ON_THE_STAND_IN
def test_where_memory_runs_out_it_is_said_what_would_fit(gpu, monkeypatch):
    monkeypatch.setattr(fitting, "before_training", lambda step, room: None)
    model = on("cuda", dropout=0.0)
    gpu.get_default_memory_pool().free_all_blocks()
    gpu.cuda.heap.total = gpu.cuda.heap.used + 100_000
    with pytest.raises(TrainingProblem, match=r"In step 0 the GPU's memory ran out. A step on 4 texts of 16 tokens at a time \(fp32\) needs about"):
        run(model)


@ON_THE_STAND_IN
def test_what_will_hardly_fit_is_said_before_it_begins(gpu, capsys):
    model = on("cuda", dropout=0.0)
    run(model, steps=1)                          # the products' workspace is there now, so in truth little more is needed
    gpu.cuda.heap.total = gpu.cuda.heap.used + 500_000
    with pytest.raises(Crash):
        run(model, on_step=crash_at(1))
    assert "minillm: This run may not fit on the GPU. A step on 4 texts" in capsys.readouterr().err


@ON_THE_STAND_IN
def test_what_can_not_fit_is_refused(gpu):
    model = on("cuda", dropout=0.0)
    gpu.cuda.heap.total = gpu.cuda.heap.used + 1_000_000
    with pytest.raises(ValueError, match="This run doesn't fit on the GPU. A step on 4 texts"):
        run(model)


@pytest.mark.parametrize("precision", ["bf16", slow("fp32"), slow("tf32")])
def test_the_command_trains_on_a_gpu_and_its_run_goes_on_anywhere(gpu, tmp_path, capsys, monkeypatch, precision):
    from minillm.cli import run as command
    monkeypatch.setitem(mfu.SIZE, "cuda", 64)
    words = flags(written(tmp_path))
    assert command(["train", *words, "--out", str(tmp_path / "run"), "--device", "cuda", "--precision", precision]) == 0
    assert "After 8 steps: loss" in capsys.readouterr().out
    assert command(["train", "--out", str(tmp_path / "run"), "--resume", "--steps", "8"]) == 0
    assert command(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "run" / "tokens"), "--device", "cuda"]) == 0


def test_a_precision_that_the_cpu_does_not_have_is_refused(tmp_path):
    from minillm.cli import run as command
    with pytest.raises(ValueError, match="bf16 is for a GPU; on the cpu a model computes in fp32"):
        command(["train", *flags(written(tmp_path)), "--out", str(tmp_path / "run"), "--precision", "bf16"])
