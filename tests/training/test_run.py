"""A whole run from a recipe: what lies in its folder, whatever happens."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm import load
from minillm.cost.mfu import Meter
from minillm.training import TrainingProblem, checkpoint
from minillm.training import run as run_module
from minillm.training.metrics import Metrics, read, speed
from minillm.training.recipe import Recipe
from minillm.training.run import run
from tiny_run import TRAINING, tiny, written

PNG = b"\x89PNG\r\n"


@pytest.fixture
def text(tmp_path):
    return written(tmp_path)


def pixels(path):
    """The picture's numbers; a broken PNG raises."""
    from matplotlib.image import imread
    return imread(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run that ended, with samples on the way."""
    folder = tmp_path_factory.mktemp("done")
    recipe = tiny(written(folder), sample_every=4)
    return recipe, folder / "run", run(recipe, folder / "run", meter=lambda: Meter(recipe.model, 1e9))


def test_the_folder_holds_the_recipe_the_tokens_the_metrics_the_checkpoints_and_the_picture(done):
    recipe, out, outcome = done
    assert {path.name for path in out.iterdir()} == {"best.json", "checkpoints", "lock", "loss.png", "metrics.jsonl", "recipe.json", "tokens"}
    assert Recipe.read(out / "recipe.json") == recipe
    model, tokenizer = load(out)
    assert model.config == recipe.model and tokenizer.hash() == outcome.prepared.tokenizer.hash()
    np.testing.assert_array_equal(load(checkpoint.folders(out)[-1])[0].params.flat, outcome.prepared.model.params.flat)


def test_every_step_has_its_line_with_what_a_reader_of_curves_asks(done):
    recipe, out, outcome = done
    lines = read(out / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(TRAINING["steps"]))
    meter = Meter(recipe.model, 1e9)
    for line in lines:
        assert line["tokens"] == 3 * 32
        assert line["flops"] == meter.read(3, 32, 1.0)["flops"]
        assert line["flops_per_second"] == pytest.approx(line["flops"] / line["seconds"], rel=0.05)
        assert 0 < line["mfu_measured"] < 2
        assert line["tokens_per_second"] > 0 and line["norm"] > 0 and line["lr"] > 0
    assert [line["step"] for line in lines if "validation" in line] == [3, 7]
    assert lines[-1]["loss"] == outcome.result.loss and lines[-1]["validation"] == outcome.result.validation


def test_samples_are_in_the_metrics_after_every_so_many_steps(done):
    _, out, outcome = done
    samples = {line["step"]: line["sample"] for line in read(out / "metrics.jsonl") if "sample" in line}
    assert [*samples] == [3, 7] and all(isinstance(sample, str) for sample in samples.values())
    model, tokenizer = load(checkpoint.folders(out)[-1])
    from minillm.generation import stream_text
    again = "".join(stream_text(model, tokenizer, "", max_new_tokens=120, temperature=0.8, seed=TRAINING["seed"]))
    assert samples[7] == again, "a sample is what the model of that step writes"


def test_without_sample_every_the_model_writes_nothing(text, tmp_path, monkeypatch):
    monkeypatch.setattr("minillm.training.loop.Trainer.sample", lambda self: pytest.fail("it wrote"))
    run(tiny(text, steps=2), tmp_path / "run")


def test_the_picture_shows_something(done):
    _, out, _ = done
    assert (out / "loss.png").read_bytes().startswith(PNG)
    image = pixels(out / "loss.png")
    assert image.shape[0] > 300 and image.shape[1] > 500 and image[..., :3].std() > 0.02, "the picture is empty"


def test_reading_the_meter_costs_less_than_a_hundredth_of_the_smallest_step(text, tmp_path):
    """Counted in function calls: a reading is a look into a table, whatever the model. A step is thousands of calls even here."""
    from minillm.training.prepare import prepare
    prepared = prepare(tiny(text), tmp_path / "run")
    meter = Meter(prepared.model.config, 1e9, 2e9)
    meter.read(3, 32, 0.1)                       # looks the FLOPs up once

    def calls(function) -> int:
        count = 0

        def seen(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(seen)
        try:
            function()
        finally:
            sys.setprofile(None)
        return count

    batch = prepared.train.batch(0)
    step = calls(lambda: prepared.model.loss_and_grads(batch.tokens, batch.targets))
    reading = calls(lambda: meter.read(3, 32, 0.1))
    assert reading < step / 100, f"{reading} calls for a reading, {step} for a step"


# --- whatever happens --------------------------------------------------------------------------------------------------------

def test_a_run_that_goes_wrong_leaves_its_picture(text, tmp_path, monkeypatch):
    write = Metrics.write

    def fail_at_5(self, **line):
        write(self, **line)
        if line["step"] == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Metrics, "write", fail_at_5)
    with pytest.raises(KeyboardInterrupt):
        run(tiny(text), tmp_path / "run")
    assert pixels(tmp_path / "run" / "loss.png")[..., :3].std() > 0.02
    assert not any(path.name.startswith(".") for path in (tmp_path / "run").iterdir())


def test_a_picture_that_can_not_be_drawn_hides_nothing(text, tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module, "draw", full)
    assert run(tiny(text, steps=2), tmp_path / "run").result.steps == 2
    assert "loss.png can't be drawn" in capsys.readouterr().err
    monkeypatch.setattr("minillm.training.steps.Steps.start", lambda self, step: (_ for _ in ()).throw(TrainingProblem("Step 0 was not taken")))
    with pytest.raises(TrainingProblem, match="Step 0 was not taken"):
        run(tiny(text), tmp_path / "other")


def test_a_folder_with_a_run_is_not_trained_into_again(done):
    recipe, out, _ = done
    with pytest.raises(ValueError, match="already holds a run .step-00000008.. Give --resume"):
        run(recipe, out)


def test_a_finished_run_resumed_is_still_finished_and_says_the_same(done):
    recipe, out, outcome = done
    before = (out / "metrics.jsonl").read_bytes()
    again = run(recipe, out, resume=True)
    assert again.result == outcome.result
    assert (out / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(("changes", "said"), [
    ({"lr": 0.5}, "lr was 0.003 and is 0.5"),
    ({"d_ff": 32}, "d_ff was 24 and is 32"),
    ({"batch_size": 4, "steps": 9}, "batch_size was 3 and is 4; steps was 8 and is 9"),
    ({"vocab_size": 310}, "vocab_size was 300 and is 310"),
    ({"data": ("tales",)}, r"data was \(.*text.txt.* and is \('tales',\)"),
    ({"seed": 4}, "seed was 3 and is 4"),
])
def test_resuming_with_another_recipe_says_what_differs_and_leaves_the_tokens_alone(done, changes, said):
    recipe, out, _ = done
    before = {path: path.stat().st_mtime_ns for path in (out / "tokens").iterdir()}
    with pytest.raises(ValueError, match=f"can't be resumed as something else: {said}"):
        run(recipe.replace(**changes), out, resume=True)
    assert {path: path.stat().st_mtime_ns for path in (out / "tokens").iterdir()} == before


def test_what_is_free_to_change_may_change_and_gives_the_same_bits(text, tmp_path, monkeypatch):
    whole = run(tiny(text), tmp_path / "whole")
    write = Metrics.write

    def fail_at_5(self, **line):
        if line["step"] == 5:
            raise KeyboardInterrupt
        write(self, **line)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Metrics, "write", fail_at_5)
        run(tiny(text), tmp_path / "run")
    resumed = run(tiny(text, checkpoint_every=1, keep=1, sample_every=1, recompute=True), tmp_path / "run", resume=True)
    np.testing.assert_array_equal(whole.prepared.model.params.flat, resumed.prepared.model.params.flat)
    assert whole.result.loss == resumed.result.loss


@pytest.mark.parametrize(("at", "sentence"), [
    (4, r"Step 5 was not taken: its loss is nan .*go back to step-00000004.*embedding.*too high"),
    (7, r"The parameters after step 7 are not finite.*go back to step-00000007"),
])
def test_parameters_that_have_gone_bad_are_not_saved_over_good_ones(text, tmp_path, monkeypatch, at, sentence):
    monkeypatch.setattr("minillm.training.steps.learning_rate", lambda step, *rest: math.nan if step == at else 1e-3)
    with pytest.raises(TrainingProblem, match=sentence):
        run(tiny(text, checkpoint_every=1, keep=1), tmp_path / "run")
    for folder in checkpoint.folders(tmp_path / "run"):
        assert np.isfinite(load(folder)[0].params.flat).all(), f"{folder.name} was saved after the numbers had gone bad"


@pytest.mark.parametrize("line", ["", "{", "[]", '{"step": 99}', '{"step": "x", "loss": 1.0}', '{"step": 99, "loss": null}', "\0\0\0"])
def test_a_log_that_is_damaged_is_read_as_far_as_it_is_whole(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 0, "loss": 2.0}}\n{line}\n{{"step": 1, "loss": 1.0}}\n{{"step": 2, "lo')
    assert [each["step"] for each in read(path)] == [0, 1]


@given(cut=st.integers(0, 400))
@settings(max_examples=30)
def test_a_log_cut_anywhere_is_the_lines_before_the_cut(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("log")
    with_samples = [{"step": i, "loss": 1 / (i + 1), "sample": "é\n\u2028\0"} for i in range(6)]
    log = Metrics(folder / "whole.jsonl", 0)
    for line in with_samples:
        log.write(**line)
    log.close()
    written = (folder / "whole.jsonl").read_bytes()[:cut]
    (folder / "cut.jsonl").write_bytes(written)
    found = read(folder / "cut.jsonl")
    assert found == with_samples[:len(found)]
    assert len(found) in (written.count(b"\n"), written.count(b"\n") + 1)


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "state.json").write_text("{}"),
    lambda folder: (folder / "state.json").write_text('{"format": 2}'),
    lambda folder: (folder / "state.json").write_text("[]"),
    lambda folder: (folder / "state.json").unlink(),
    lambda folder: (folder / "config.json").unlink(),
    lambda folder: (folder / "optimizer.safetensors").write_bytes(b"nothing"),
    lambda folder: (folder / "optimizer.safetensors").unlink(),
    lambda folder: (folder / "model.safetensors").write_bytes(b"nothing"),
])
def test_a_damaged_checkpoint_is_a_sentence_that_names_the_file(text, tmp_path, damage):
    recipe = tiny(text, steps=1)
    run(recipe, tmp_path / "run")
    last = checkpoint.folders(tmp_path / "run")[-1]
    damage(last)
    with pytest.raises((ValueError, OSError), match=last.name):
        run(recipe, tmp_path / "run", resume=True)


def test_without_its_recipe_a_run_can_not_go_on(text, tmp_path):
    run(tiny(text, steps=1), tmp_path / "run")
    (tmp_path / "run" / "recipe.json").unlink()
    with pytest.raises(ValueError, match="has no recipe.json"):
        run(tiny(text, steps=1), tmp_path / "run", resume=True)


def test_a_runs_speed_is_told_by_its_medians_against_peaks_that_are_named():
    lines = [{"step": i, "loss": 1.0, "tokens_per_second": 1000.0 * i, "mfu_measured": i / 10} for i in (1, 2, 6)]
    assert speed(lines) == "2,000 tokens/s, 20.0% of the rate of large matrix products here."
    assert speed([{"step": 0, "loss": 1.0, "tokens_per_second": 5.0}]) == "5 tokens/s.", "without a peak there is no share of it"
    assert speed([]) == ""
