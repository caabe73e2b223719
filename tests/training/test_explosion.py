"""A loss that explodes stops the run with a sentence that helps; noise, hard batches and slow rises don't."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm import load
from minillm.ops import REFERENCE
from minillm.training import TrainingProblem, checkpoint, explosion
from minillm.training.explosion import WINDOW, Size, Watch, first_grown
from minillm.training.metrics import read
from test_loop import Counting, Crash, fresh, run


# --- the watch ---------------------------------------------------------------------------------------------------------------

def alarms(losses) -> list[int]:
    """After which losses there was an alarm."""
    watch, found = Watch(), []
    for i, loss in enumerate(losses):
        watch.see(loss)
        if watch.alarm:
            found.append(i)
    return found


@given(level=st.floats(0.01, 20), noise=st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_noise_of_less_than_a_nat_is_no_alarm(level, noise):
    losses = [level + each for each in noise]
    losses[0] = max(losses)                      # a run begins with what it knows least
    assert not alarms(losses)


@given(first=st.floats(2, 12), best=st.floats(0.01, 1.9), share=st.floats(0, 0.99), steps=st.integers(1, 200))
def test_a_rise_by_less_than_half_of_what_was_learnt_or_a_nat_is_no_alarm(first, best, share, steps):
    rise = share * max(0.5 * (first - best), 1.0)
    assert not alarms([*np.linspace(first, best, 40), *[best] * WINDOW, *np.linspace(best, best + rise, steps), *[best + rise] * 40])


@given(first=st.floats(2, 12), best=st.floats(0.01, 1.9), more=st.floats(1.05, 1.5), steps=st.integers(1, 200))
def test_a_rise_by_more_is_an_alarm_however_slow(first, best, more, steps):
    top = best + more * max(0.5 * (first - best), 1.0)
    found = alarms([*np.linspace(first, best, 40), *[best] * WINDOW, *np.linspace(best, top, steps), *[top] * WINDOW])
    assert found and found[0] >= 40 + WINDOW


@given(first=st.floats(0.1, 12), at=st.integers(1, 50))
def test_a_single_loss_far_above_the_first_is_an_alarm_and_a_hard_batch_is_none(first, at):
    assert not alarms([first] * at + [max(1.99 * first, first)] + [first] * 50 if first < 0.5 else [first] * at + [1.9 * first] + [first] * 5)
    assert alarms([first] * at + [2.01 * max(first, 1.0)])[:1] == [at]


def test_the_alarm_says_from_where_to_where():
    watch = Watch([6.0] * 30 + [2.0] * 30)
    assert not watch.alarm and watch.best == pytest.approx(2.0) and watch.best_step == 50
    for _ in range(WINDOW):
        watch.see(5.0)
    assert re.search(r"the mean of the last 20 losses has climbed from 2, at step 50, to", watch.alarm)


@given(losses=st.lists(st.floats(0.01, 12), max_size=80), cut=st.integers(0, 80))
def test_a_watch_that_is_told_the_past_at_once_is_the_one_that_saw_it(losses, cut):
    whole, resumed = Watch(), Watch(losses[:cut])
    for loss in losses:
        whole.see(loss)
    for loss in losses[cut:]:
        resumed.see(loss)
    assert vars(whole) == vars(resumed)


# --- which operation grew ----------------------------------------------------------------------------------------------------

def test_the_first_that_grew_tenfold_is_named_and_not_the_one_that_grew_most():
    before = [Size("layers.0", "linear", 1.0), Size("layers.1", "silu", 0.5), Size("loss", "softmax", 1.0)]
    now = [Size("layers.0", "linear", 9.0), Size("layers.1", "silu", 6.0), Size("loss", "softmax", 1000.0)]
    assert first_grown(before, now) == "layers.1: what silu makes has grown 12 times, from 0.5 to 6 (root mean square)"


def test_where_none_grew_tenfold_the_one_that_grew_most_is_named():
    sizes = [[Size("", "embedding", 1.0), Size("layers.0", "linear", 2.0)], [Size("", "embedding", 3.0), Size("layers.0", "linear", 4.0)]]
    assert first_grown(*sizes).startswith("outside any layer: what embedding makes has grown 3 times")


def test_sizes_are_those_of_what_operations_make():
    model = fresh(dropout=0.0)
    tokens, targets, _ = Counting().batch(0)
    sizes = explosion.sizes(model, tokens, targets, gradients=False)
    embedded, _ = REFERENCE.embedding.forward(tokens, model.params["embedding.weight"])
    assert sizes[0].op == "embedding" and sizes[0].rms == pytest.approx(float(np.sqrt((embedded ** 2).mean())))
    assert {size.place.split(".")[0] for size in sizes} >= {"layers", "loss"}
    assert model.ops is REFERENCE, "the model goes on with its own table"


# --- in a run ----------------------------------------------------------------------------------------------------------------


def explode(out, at=40, crash=None, resume=False, factor=-2.0, **changes):
    """A run in which, from step `at` on, the second layer's down matrix grows with every step, and turns around."""
    model = fresh(dropout=0.0)

    def on_step(done, loss):
        if done == crash:
            raise Crash
        if done >= at:
            model.params["layers.1.down.weight"][...] *= factor

    settings = dict(steps=120, lr=1e-2, checkpoint_every=10, evaluate_every=0, keep=1) | changes
    return run(model, out, resume=resume, on_step=on_step, **settings)


def test_an_explosion_stops_with_the_step_the_operation_the_checkpoint_from_before_and_advice(tmp_path, unchecked):
    with pytest.raises(TrainingProblem) as stopped:
        explode(tmp_path / "run")
    said = str(stopped.value)
    lines = read(tmp_path / "run" / "metrics.jsonl")
    assert said.startswith(f"Training stopped after step {lines[-1]['step']}: ") and lines[-1]["step"] >= 40
    grown = re.search(r"Since then, (\S+): what (\w+) makes has grown", said)
    assert grown and grown[1].startswith("layers.1") and grown[2] == "linear", said
    assert "(the peak is 0.01; try 0.0033)" in said and "warm-up too short (3 steps)" in said
    folder = re.search(r"The parameters from before are in (\S+)\.", said)[1]
    model, _ = load(folder)                      # still there, though only one checkpoint is kept
    assert int(folder[-8:]) <= 40
    tokens, targets, _ = Counting().batch(1000)
    assert model.loss_and_grads(tokens, targets)[0] < lines[0]["loss"] / 2, "the checkpoint must be from before"


def test_the_checkpoint_from_before_survives_many_newer_ones(tmp_path, unchecked):
    with pytest.raises(TrainingProblem) as stopped:
        explode(tmp_path / "run", checkpoint_every=3)
    folders = checkpoint.folders(tmp_path / "run")
    named = re.search(r"The parameters from before are in (\S+)\.", str(stopped.value))[1]
    assert named in map(str, folders)
    assert len(folders) <= 3, "one kept, one from before, at most one best"


def test_an_explosion_without_a_folder_is_told_too(unchecked):
    with pytest.raises(TrainingProblem, match=r"Training stopped after step \d+: .*Usually the learning rate is too high"):
        explode(None)


def test_a_resumed_run_remembers_what_it_had_reached(tmp_path, unchecked):
    said = []
    for name, crash in (("whole", None), ("resumed", 33)):
        if crash is not None:
            with pytest.raises(Crash):
                explode(tmp_path / name, crash=crash)
        with pytest.raises(TrainingProblem) as stopped:
            explode(tmp_path / name, resume=crash is not None)
        said.append(str(stopped.value).replace(str(tmp_path / name), "RUN"))
    assert said[0] == said[1]


def test_a_resumed_run_has_the_last_losses_of_the_one_before(tmp_path):
    whole = run(fresh(), tmp_path / "run")
    again = run(fresh(), tmp_path / "run", resume=True)
    assert (again.steps, again.loss, again.validation, again.best) == (whole.steps, whole.loss, whole.validation, whole.best)
