"""Plans, against figures that others have published about their runs."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.cost import hardware, memory, plan, sharding
from minillm.cost.plan import config_named, devices_named, number, of_run
from minillm.model import Config

LLAMA_7B = Config.preset("llama1-7b")


# --- what people write ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "value"), [("15T", 15e12), ("1.5e12", 1.5e12), ("300B", 300e9), ("300 b", 300e9), ("4_000_000", 4e6),
                                             ("1,000", 1000),
                                             ("40k", 4e4), ("0.66M", 0.66e6), ("2e3k", 2e6), ("80G", 80e9)])
def test_numbers_as_people_write_them(text, value):
    assert number(text, "number of tokens") == pytest.approx(value)


@pytest.mark.parametrize("text", ["-5", "0", "-15T", "1e40", "0T"])
def test_a_number_that_nothing_has(text):
    with pytest.raises(ValueError, match="number of tokens must be above 0"):
        number(text, "number of tokens")


@pytest.mark.parametrize("text", ["", "T", "many", "15X", "1.2.3", "nan", "inf", "15TT", "--"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="number of tokens must be a number such as 15T"):
        number(text, "number of tokens")


@given(st.floats(1e-3, 1e6), st.sampled_from(list(plan.UNITS)))
def test_every_unit_multiplies(value, unit):
    assert number(f"{value!r}{unit.upper()}", "x") == pytest.approx(value * plan.UNITS[unit])


@pytest.mark.parametrize(("text", "count", "name"), [("1024xH100", 1024, "H100"), ("8 x a100", 8, "A100"), ("TPUv4", 1, "TPUv4"),
                                                     ("2×RTX 4090", 2, "RTX4090")])
def test_devices_as_people_write_them(text, count, name):
    found = devices_named(text)
    assert (found[0], found[1].name) == (count, name)


@pytest.mark.parametrize("text", ["0xH100", "x", "-3xH100", "8x", "1024", ""])
def test_devices_that_cannot_be(text):
    with pytest.raises(ValueError, match=r"at least 1 device|COUNTxNAME|no device"):
        devices_named(text)


def test_a_config_from_a_file(tmp_path):
    shape = Config.preset("llama3-405b").to_dict()
    (tmp_path / "all.json").write_text(json.dumps(shape))
    assert config_named(str(tmp_path / "all.json")) == Config.preset("llama3-405b")
    (tmp_path / "small.toml").write_text('preset = "llama-nano"\nd_model = 96\n')
    assert config_named(str(tmp_path / "small.toml")) == Config.preset("llama-nano", d_model=96)
    (tmp_path / "recipe.toml").write_text('[training]\nsteps = 10\n[model]\npreset = "gpt2"\ndropout = 0.1\n')
    assert config_named(str(tmp_path / "recipe.toml")) == Config.preset("gpt2", dropout=0.1)
    assert config_named("gpt2") == Config.preset("gpt2")


@pytest.mark.parametrize(("name", "text", "sentence"), [
    ("a.toml", "d_model = ", "can't be read as TOML"), ("a.json", "{", "can't be read as JSON"), ("a.toml", "width = 3", "no field width"),
    ("a.toml", 'preset = "nobody"', "no preset 'nobody'"), ("a.toml", "preset = 3", "no preset '3'"),
    ("a.toml", 'preset = "gpt2"\nname = "mine"', "no field name"), ("a.json", "[1]", "must hold a JSON object")])
def test_a_bad_file_gets_a_sentence(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        config_named(str(tmp_path / name))


def test_a_misspelt_preset_gets_the_nearest_names():
    with pytest.raises(ValueError, match="Did you mean llama3-8b"):
        config_named("lama3-8b")


# --- FLOPs, time and money ---------------------------------------------------------------------------------------------------------------

def test_the_lectures_worked_example():
    """2048 texts of 4096 tokens in 12.7 s on 256 A100: 0.66 M tokens/s, 2,580 on each, 63 hours for 150 B tokens; MFU 35 % by 6 · 7e9."""
    rate = 2048 * 4096 / 12.7
    assert round(rate / 1e6, 2) == 0.66 and round(rate / 256, -1) == 2580
    run = of_run(LLAMA_7B, 4096, 150e9, devices_named("256xA100"), tokens_per_second=rate)
    assert round(run["seconds"] / 3600) == 63
    assert hardware.mfu(6 * 7e9 * rate, hardware.DEVICES["A100"], 256) == pytest.approx(0.347, abs=5e-4)
    assert run["reached"]["palm"] == pytest.approx(0.388, abs=1e-3), "with the exact N, and attention in full"


def test_a_petaflop_day():
    assert plan.PF_DAY == 8.64e19
    assert 2 * hardware.DEVICES["A100"].peak["bf16"] * 86400 / plan.PF_DAY == pytest.approx(0.62, abs=5e-3), "what two A100 give at full peak"
    run = of_run(Config.preset("gpt3-175b"), 64, tokens=300e9, convention="6nd")
    assert run["pf_days"] == pytest.approx(3640, rel=1e-3), "GPT-3's paper: 3.64E+03"
    assert run["flops"]["6nd"] == pytest.approx(3.14e23, rel=2e-3)


@pytest.mark.parametrize(("name", "tokens", "hours", "share"), [
    ("llama1-7b", 1e12, 82_432, 0.437), ("llama1-13b", 1e12, 135_168, 0.514), ("llama1-33b", 1.4e12, 530_432, 0.459),
    ("llama1-65b", 1.4e12, 1_022_362, 0.478), ("llama2-7b", 2e12, 184_320, 0.391), ("llama2-13b", 2e12, 368_640, 0.377),
    ("llama2-70b", 2e12, 1_720_320, 0.428)])
def test_published_gpu_hours_and_the_mfu_they_imply(name, tokens, hours, share):
    config, devices = Config.preset(name), devices_named("2048xA100")
    run = of_run(config, None, tokens, devices, mfu=share, convention="6nd", price=2)
    assert run["device_hours"] == pytest.approx(hours, rel=5e-3)
    assert run["cost"] == 2 * run["device_hours"] and run["seconds"] == pytest.approx(run["device_hours"] * 3600 / 2048)


def test_llama_3_405b_at_the_mfu_of_6nd():
    run = of_run(Config.preset("llama3-405b"), 512, 15.6e12, devices_named("16384xH100"), mfu=0.346, convention="6nd")
    assert run["flops"]["6nd"] == pytest.approx(3.8e25, rel=1e-3)
    assert run["device_hours"] == pytest.approx(30.84e6, rel=3e-3)


def test_time_and_throughput_agree():
    """A plan at some MFU, and the MFU of the tokens per second that it promises, are the same."""
    for convention in ("exact", "6nd", "palm"):
        promised = of_run(LLAMA_7B, 256, 1e12, devices_named("64xH100"), mfu=0.4, convention=convention)
        measured = of_run(LLAMA_7B, 256, 1e12, devices_named("64xH100"), tokens_per_second=promised["tokens_per_second"], convention=convention)
        assert measured["reached"][convention] == pytest.approx(0.4)
        assert measured["seconds"] == pytest.approx(promised["seconds"])


def test_an_unknown_peak_means_no_mfu():
    device = replace(hardware.DEVICES["V100"], memory=None)
    run = of_run(LLAMA_7B, 2048, None, (8, device), tokens_per_second=1000.0, dtype="bf16")
    assert run["reached"] == {} and run["devices"]["peak"] is None
    with pytest.raises(ValueError, match="peak of a V100 for bf16 isn't known; those for fp32, fp16 are"):
        of_run(LLAMA_7B, 2048, 1e12, (8, device), mfu=0.4)


def test_more_than_the_peak_is_refused():
    with pytest.raises(ValueError, match=r"That would be 1\d\d% of the peak of 8 × A100"):
        of_run(LLAMA_7B, 2048, None, devices_named("8xA100"), tokens_per_second=70_000)


@pytest.mark.parametrize(("options", "sentence"), [
    (dict(mfu=0.4), "give --tokens and --gpus"), (dict(mfu=1.5, tokens=1e9), "at most 1, not 1.5"), (dict(mfu=0.0), "above 0"),
    (dict(tokens_per_second=5.0), "give --gpus"), (dict(convention="guess"), "no convention 'guess'"),
    (dict(tokens=1e9, devices=(8, hardware.DEVICES["H100"]), mfu=0.4, tokens_per_second=3.0), "not both"),
    (dict(tokens=1e9, devices=(8, hardware.DEVICES["H100"]), mfu=0.4, price=-1.0), "0 or more, not -1"),
    (dict(price=2.0), "A price is for the hours"), (dict(price=2.0, tokens=1e9, devices=(8, hardware.DEVICES["H100"])), "A price is for the hours"),
    (dict(t=0), "at least 1"), (dict(t=10**9), "longer than anybody's"),
    (dict(devices=(8, hardware.DEVICES["H100"]), micro_batch=0), "micro-batch must be at least 1")])
def test_half_a_plan_gets_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        of_run(LLAMA_7B, **options)


def test_texts_are_as_long_as_in_training_unless_said_otherwise():
    assert plan.training_length(Config.preset("llama3-405b")) == 8192, "131,072 only after its positions were stretched"
    assert plan.training_length(LLAMA_7B) == 2048
    assert of_run(Config.preset("llama3.2-1b"))["seq_len"] == 8192


# --- memory of each device ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["gpt2-xl", "llama2-7b", "llama3-70b"])
def test_one_device_fewer_than_the_smallest_number_is_too_few(name, zero):
    config, options = Config.preset(name), {"zero": zero, "recompute": True}
    least = sharding.fewest(config, 2048, 80e9, **options)
    if least is None:
        assert all(sharding.on_a_device(config, 2048, 10**n, **options).total > 80e9 for n in range(9))
        return
    assert sharding.on_a_device(config, 2048, least, **options).total <= 80e9
    assert least == 1 or sharding.on_a_device(config, 2048, least - 1, **options).total > 80e9


def test_the_zero_papers_states_are_in_the_account():
    config = Config.preset("llama2-7b")
    for stage in range(4):
        parts = sharding.on_a_device(config, 512, 64, "fp16", stage).parts
        states = memory.states(config.num_parameters(), memory.PRECISIONS["fp16"], stage, 64)
        assert {name: parts[name] for name in states} == states
        assert ("one layer, gathered" in parts) == (stage >= 2)


def test_recompute_is_chosen_only_where_nothing_fits_without():
    config = Config.preset("llama3-8b")
    assert not sharding.fitting(config, 8192, 1024, 80e9).recompute
    assert sharding.fitting(config, 8192, 1024, 40e9).recompute
    with pytest.raises(ValueError, match=r"doesn't fit: each of 1,024 devices would need .* and has 40\.0 GB.*recomputing activations"):
        sharding.fitting(config, 8192, 1024, 40e9, recompute="no")


def test_a_model_that_cannot_fit_gets_a_sentence_with_the_number_that_would_do():
    config = Config.preset("llama2-7b")
    least = sharding.fewest(config, 2048, 24e9, recompute=True)
    with pytest.raises(ValueError, match=rf"It would fit on {least} of them"):
        sharding.fitting(config, 2048, least - 1, 24e9)
    with pytest.raises(ValueError, match="however many there are"):
        sharding.fitting(config, 2048, 8, 24e9, zero=0)
