"""Is my loss normal? Whose band it is, what it says, and whether it can tell a fault from another seed."""

import dataclasses
import json

import minillm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.training import bands
from minillm.training.bands import Band, find, key, known, make, smooth
from minillm.training.prepare import prepare
from minillm.training.run import run
from minillm.training.settings import FREE_TO_CHANGE, Settings
from tiny_run import tiny, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bands")
    written(folder)
    return folder


def key_of(folder, **changes) -> str:
    recipe = tiny(folder / "text.txt", **changes)
    return key(recipe, prepare(recipe, folder / "run").train)


# --- whose band it is ----------------------------------------------------------------------------------------------------------

OTHER = {"steps": 9, "lr": 0.1, "final_lr": 0.2, "schedule": "wsd", "warmup_steps": 1, "weight_decay": 0.2, "beta1": 0.8, "beta2": 0.9, "eps": 1e-6,
         "clip": 2.0, "ema": 0.5, "label_smoothing": 0.1, "z_loss": 0.1,
         "d_ff": 32, "num_layers": 1, "dropout": 0.1, "initialisation": "fan_in", "tied": True,
         "batch_size": 4, "context": 16, "order": "packed", "validation": 0.2, "vocab_size": 310}
FREE = {"seed": 9, "micro_batches": 3, "recompute": True, "evaluate_every": 1, "evaluate_batches": 1, "checkpoint_every": 1,
        "sample_every": 1, "keep": 9}


def test_the_lists_below_name_every_setting_of_training():
    assert FREE.keys() == FREE_TO_CHANGE | {"seed"}
    assert {field.name for field in dataclasses.fields(Settings)} - OTHER.keys() == FREE.keys()


@pytest.mark.parametrize("name", FREE)
def test_the_key_is_the_same_for_every_seed_and_for_what_does_not_touch_the_curve(folder, name):
    assert key_of(folder, **{name: FREE[name]}) == key_of(folder)


@pytest.mark.parametrize("name", OTHER)
def test_the_key_depends_on_everything_else(folder, name):
    assert key_of(folder, **{name: OTHER[name]}) != key_of(folder)


def test_the_key_depends_on_the_text(folder, tmp_path):
    assert key_of(folder) == key_of(_copy(tmp_path / "same")), "where the text lies makes no difference"
    assert key_of(folder) != key_of(_copy(tmp_path / "other", "\n\nmore"))


def _copy(folder, more=""):
    from tiny_run import TEXT
    written(folder, TEXT + more)
    return folder


def test_the_bands_that_are_shipped_are_sound():
    for name, band in known().items():
        assert len(name) == 16 and band.seeds >= 5
        assert len(band.steps) == len(band.low) == len(band.high) and band.steps == sorted(set(band.steps))
        assert all(0 < low < high for low, high in zip(band.low, band.high))


def test_a_band_is_found_by_its_key_and_a_run_says_where_it_lies(folder, tmp_path, monkeypatch, unchecked):
    recipe = tiny(folder / "text.txt")
    prepared = prepare(recipe, tmp_path / "run")
    assert find(recipe, prepared.train) is None
    entry = {"steps": [4, 8], "low": [1.0, 1.0], "high": [9.0, 9.0], "seeds": 5}
    (tmp_path / "bands.json").write_text(json.dumps({key(recipe, prepared.train): entry}))
    monkeypatch.setattr(bands.resources, "files", lambda package: tmp_path)
    assert find(recipe.replace(seed=8), prepared.train) == Band([4, 8], [1.0, 1.0], [9.0, 9.0], 5)
    said = run(recipe, tmp_path / "run").normal
    assert said.endswith("at step 8: inside 1.000–9.000, where 5 runs of this recipe lay.")
    assert find(recipe.replace(lr=0.5), prepared.train) is None


# --- what it says ------------------------------------------------------------------------------------------------------------

BAND = Band([10, 20, 30], [4.0, 3.0, 2.0], [5.0, 4.0, 3.0], 5)


@pytest.mark.parametrize(("losses", "said"), [
    ([4.5] * 9, ""),
    ([4.5] * 10, "4.500 at step 10: inside 4.000–5.000, where 5 runs of this recipe lay."),
    ([3.5] * 29, "3.500 at step 10: below 4.000–5.000, where 5 runs of this recipe lay (1 of 2 steps that were compared lie outside): "
                 "something is different here."),
    ([4.5] * 10 + [2.5] * 20, "2.500 at step 30: inside 2.000–3.000, where 5 runs of this recipe lay."),
    ([6.0] * 30, "6.000 at step 10: above 4.000–5.000, where 5 runs of this recipe lay (3 of 3 steps that were compared lie outside): "
                 "something is different here."),
])
def test_the_sentence_is_about_the_first_step_outside_or_else_about_the_last(losses, said):
    assert BAND.judge(losses) == said


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=60), data=st.data())
def test_smooth_is_the_mean_of_the_last_twenty(losses, data):
    step = data.draw(st.integers(1, len(losses)))
    expected = losses[:step][-20:]
    assert smooth(losses, step) == pytest.approx(sum(expected) / len(expected))


@given(level=st.floats(0.5, 10), spread=st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=8))
def test_a_band_is_four_deviations_wide_and_never_narrower_than_two_percent(level, spread):
    import statistics
    curves = [[level * (1 + each)] * 25 for each in spread]
    band = make(curves, 10)
    assert band.steps == [10, 20, 25] and band.seeds == len(spread)
    mean, deviation = statistics.mean(curve[0] for curve in curves), statistics.stdev(curve[0] for curve in curves)
    half = max(4 * deviation, 0.02 * mean)
    for low, high in zip(band.low, band.high):
        assert low == pytest.approx(mean - half, abs=1e-4) and high == pytest.approx(mean + half, abs=1e-4)


# --- whether it can tell -----------------------------------------------------------------------------------------------------

def test_a_sixth_seed_is_inside_and_a_fault_is_outside(folder, unchecked):
    def curve(seed, **changes):
        recipe = tiny(folder / "text.txt", **dict(seed=seed, steps=40, lr=1e-2, num_layers=1) | changes)
        prepared, losses = prepare(recipe, folder / "run"), []
        minillm.train(prepared.model, prepared.train, settings=recipe.training, progress=False, on_step=lambda step, loss: losses.append(loss))
        return losses

    band = make([curve(seed) for seed in range(5)], every=20)
    assert ": inside" in band.judge(curve(5))
    for fault in ({"lr": 1e-1}, {"lr": 1e-3}, {"warmup_steps": 40}):
        assert "something is different here" in band.judge(curve(6, **fault)), f"{fault} was not noticed"
