"""What would fit on a GPU: the advice is taken, and then it does."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.cost import fitting, memory
from minillm.cost.fitting import Room, Step
from minillm.model import Config

CONFIG = Config.preset("gpt2")
GB = 10**9


def what_fits(config, b, t, precision, free_bytes, micro_batches=1, recompute=False, total_bytes=None, **options):
    return fitting.what_fits(Step(config, b, t, precision, micro_batches, recompute, options), Room(free_bytes, total_bytes))


def before_training(config, b, t, precision, room):
    return fitting.before_training(Step(config, b, t, precision), room)


def needed(b, t, *rest):
    return sum(memory.of_gpu_step(CONFIG, b, t, *rest).values())


def taken(advice):
    """[(micro-batches, recompute, GB)] that a sentence advises."""
    ways = re.findall(r"((?:--[\w-]+ ?\d* ?)+)\(([\d.]+) GB\)", advice)
    return [(int(found[1]) if (found := re.search(r"--micro-batches (\d+)", flags)) else 1, "--recompute" in flags, float(size)) for flags, size in ways]


@given(st.floats(2.8, 22), st.sampled_from([7, 12, 31, 64]), st.booleans())
def test_what_is_advised_fits_and_nothing_less_does(gigabytes, b, recompute):
    free = int(gigabytes * GB)
    if Step(CONFIG, b, 1024, recompute=recompute).fits(free):
        return
    ways = taken(what_fits(CONFIG, b, 1024, "bf16", free, recompute=recompute))
    assert ways and len(ways) <= (1 if recompute else 2)
    for pieces, again, size in ways:
        again = again or recompute
        assert b % pieces == 0 and needed(b, 1024, "bf16", pieces, again) <= 0.97 * free
        assert size == pytest.approx(needed(b, 1024, "bf16", pieces, again) / GB, abs=0.06)
        fewer = [n for n in range(1, pieces) if b % n == 0]
        assert all(needed(b, 1024, "bf16", n, again) > 0.97 * free for n in fewer)
    if len(ways) == 2:
        assert ways[1][0] < ways[0][0] and ways[1][1] and not ways[0][1], "to compute again saves micro-batches"


def test_the_sentence_says_what_is_needed_and_what_there_is():
    said = what_fits(CONFIG, 64, 1024, "bf16", 12 * GB, total_bytes=141 * GB)
    parts = memory.of_gpu_step(CONFIG, 64, 1024)
    assert f"64 texts of 1,024 tokens at a time (bf16) needs about {sum(parts.values()) / GB:.1f} GB: activations {parts['activations'] / GB:.1f} GB" in said
    assert "Of the GPU's 141.0 GB, it can have 12.0 GB: 129.0 GB are held by others (nvidia-smi lists who" in said
    assert "It would fit with --micro-batches 4 (" in said and ", or with --recompute (" in said and "the same gradient" in said


def test_nobody_else_is_blamed_for_what_cuda_takes():
    assert "others" not in what_fits(CONFIG, 64, 1024, "bf16", 12 * GB, total_bytes=13 * GB)
    assert "The GPU has 12.0 GB for it." in what_fits(CONFIG, 64, 1024, "bf16", 12 * GB)


def test_flags_that_were_given_are_not_advised_again():
    said = what_fits(CONFIG, 64, 1024, "bf16", 3 * GB, micro_batches=2, recompute=True)
    assert "32 texts of 1,024 tokens at a time (bf16, with recompute)" in said
    assert re.search(r"It would fit with --micro-batches \d+ \(", said) and "--recompute" not in said


def test_where_a_single_text_is_too_long_a_shorter_one_is_advised_that_fits():
    config = Config.preset("gpt2", max_seq_len=65_536)
    free = 6 * GB
    said = what_fits(config, 4, 65_536, "bf16", free)
    length = int(re.search(r"--context (\d+) --micro-batches 4 --recompute", said)[1])
    assert length % fitting.LENGTHS == 0 and "Even one text at a time, with recompute, needs" in said
    fits, longer = (Step(config, 4, t, "bf16", 4, True).needed <= 0.97 * free for t in (length, length + fitting.LENGTHS))
    assert fits and not longer


def test_where_the_weights_are_too_many_a_smaller_model_is_advised():
    said = what_fits(CONFIG, 4, 1024, "bf16", 2 * GB)
    assert "No batch is small enough: the weights, their gradient, Adam's m and v and the products' workspace alone take 2.3 GB. Take a smaller model" in said


def test_what_should_have_fitted_is_said_to_be_so():
    assert "By this account it should fit" in what_fits(CONFIG, 4, 1024, "bf16", 100 * GB)


def test_before_training_silence_a_warning_or_a_refusal():
    size = needed(64, 1024)
    assert before_training(CONFIG, 64, 1024, "bf16", Room(int(1.1 * size))) is None
    for free in (1.0, 0.6):
        said = before_training(CONFIG, 64, 1024, "bf16", Room(int(free * size), 2 * size))
        assert said.startswith("This run may not fit on the GPU. A step on 64 texts") and "It would fit with" in said
    with pytest.raises(ValueError, match="This run doesn't fit on the GPU. A step on 64 texts .* It would fit with"):
        before_training(CONFIG, 64, 1024, "bf16", Room(int(0.49 * size)))


@pytest.mark.parametrize(("limit", "free"), [(0, 60), (50, 50), (80, 60)])
def test_the_room_is_what_is_free_and_what_this_process_holds_up_to_a_limit(limit, free):
    pool = SimpleNamespace(total_bytes=lambda: 20 * GB, get_limit=lambda: limit * GB)
    xp = SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(memGetInfo=lambda: (40 * GB, 141 * GB))), get_default_memory_pool=lambda: pool)
    assert fitting.room(xp) == Room(free * GB, 141 * GB)


def test_an_average_of_the_weights_and_documents_are_needed_too():
    plain, more = (re.search(r"about ([\d.]+) GB", what_fits(CONFIG, 4, 1024, "bf16", GB, **options))[1] for options in ({}, {"average": True}))
    assert float(more) - float(plain) == pytest.approx(0.5, abs=0.11)
