"""The shape of a model: how many parameters, which configs are possible, and what the sentences say about the others."""

import json
import tomllib
import tracemalloc
from dataclasses import FrozenInstanceError, fields
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.model import Config, Parameters
from minillm.model.config import FAMILIES, _presets
from minillm.ops.rope import LinearScaling, Llama3Scaling

from .small import GPT2, LLAMA

# Counted from the published configurations. (Hugging Face's totals for Llama 2 contain buffers that nobody trains.)
PUBLISHED = {
    "gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200, "gpt3-175b": 174_604_259_328,
    "llama1-7b": 6_738_415_616, "llama1-13b": 13_015_864_320, "llama1-33b": 32_528_943_616, "llama1-65b": 65_285_660_672,
    "llama2-7b": 6_738_415_616, "llama2-13b": 13_015_864_320, "llama2-70b": 68_976_648_192,
    "llama3-8b": 8_030_261_248, "llama3-70b": 70_553_706_496, "llama3-405b": 405_853_388_800,
    "llama3.2-1b": 1_235_814_400, "llama3.2-3b": 3_212_749_824, "tinyllama-1.1b": 1_100_048_384, "mistral-7b": 7_241_732_096,
}
OURS = {"gpt-nano": (1e6, 3e6), "llama-nano": (4e5, 6e5), "llama-micro": (11e6, 13e6), "llama-small": (90e6, 110e6)}


@st.composite
def configs(draw):
    """Any possible small config, with every choice there is."""
    heads, groups, half = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    positions = draw(st.sampled_from(["rope", "learned", "sinusoidal"]))
    norm = draw(st.sampled_from(["rmsnorm", "layernorm"]))
    head_size = 2 * half if positions == "rope" else draw(st.integers(1, 5))
    derived = draw(st.booleans())
    scalings = [None, LinearScaling(2.0), Llama3Scaling(4.0, 1.0, 3.0, 16)] if positions == "rope" else [None]
    return Config(
        vocab_size=draw(st.integers(1, 30)), d_model=heads * groups * head_size if derived else draw(st.integers(1, 9)),
        num_layers=draw(st.integers(1, 4)), num_heads=heads * groups, num_kv_heads=heads, head_size=None if derived else head_size,
        d_ff=draw(st.integers(1, 9)), max_seq_len=draw(st.integers(1, 9)), norm=norm, norm_bias=norm == "layernorm" and draw(st.booleans()),
        norm_position=draw(st.sampled_from(["pre", "post"])), positions=positions, rope_scaling=draw(st.sampled_from(scalings)),
        feed_forward=draw(st.sampled_from(["swiglu", "gelu", "gelu_tanh", "relu"])), attention_bias=draw(st.booleans()),
        feed_forward_bias=draw(st.booleans()), sliding_window=draw(st.sampled_from([None, 3])), tied=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0, 0.1])), initialisation=draw(st.sampled_from(["gpt2", "fan_in"])))


# --- how many parameters --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, count", PUBLISHED.items())
def test_a_published_model_has_exactly_its_published_number_of_parameters(name, count):
    assert Config.preset(name).num_parameters() == count


@pytest.mark.parametrize("name, bounds", OURS.items())
def test_our_own_presets_have_the_sizes_that_their_names_promise(name, bounds):
    low, high = bounds
    assert low <= Config.preset(name).num_parameters() <= high


def test_every_preset_is_one_of_those_whose_count_is_tested():
    assert sorted(Config.preset_names()) == sorted([*PUBLISHED, *OURS])


def test_other_counts_that_are_published():
    """nanoGPT without biases, for OpenAI's vocabulary and for one rounded up; and its model of Shakespeare's characters."""
    plain = dict(norm_bias=False, attention_bias=False, feed_forward_bias=False)
    assert Config.preset("gpt2", **plain).num_parameters() == 124_337_664
    assert Config.preset("gpt2", vocab_size=50304, **plain).num_parameters() == 124_373_760
    shakespeare = Config.preset("gpt2", vocab_size=65, d_model=384, num_layers=6, num_heads=6, d_ff=1536, max_seq_len=256, **plain)
    assert shakespeare.num_parameters() == 10_745_088


@given(configs())
def test_the_count_is_the_sum_of_all_shapes_and_of_all_parts(config):
    assert config.num_parameters() == sum(prod(shape) for shape in config.shapes().values())
    assert config.num_parameters() == sum(config.parameters_by_part().values())


@given(configs())
def test_every_parameter_is_in_the_part_that_its_name_says(config):
    words = {"embeddings": ("embedding", "positions"), "attention": ("query", "key", "value", "attention_output"),
             "feed_forward": ("gate", "up", "down"), "norms": ("attention_norm", "feed_forward_norm", "final_norm"), "head": ("output",)}
    expected = dict.fromkeys(words, 0)
    for name, shape in config.shapes().items():
        (part,) = [part for part, layers in words.items() if name.split(".")[-2] in layers]
        expected[part] += prod(shape)
    assert config.parameters_by_part() == expected


def test_the_parts_of_llama_3_8b_by_hand():
    d, f, v, layers, keys = 4096, 14336, 128256, 32, 1024
    assert Config.preset("llama3-8b").parameters_by_part() == {
        "embeddings": v * d, "attention": layers * (2 * d * d + 2 * d * keys), "feed_forward": layers * 3 * d * f,
        "norms": (2 * layers + 1) * d, "head": v * d}


def test_the_parts_of_gpt2_by_hand():
    d, f, layers = 768, 3072, 12
    assert Config.preset("gpt2").parameters_by_part() == {
        "embeddings": 50257 * d + 1024 * d, "attention": layers * 4 * (d * d + d), "feed_forward": layers * (2 * d * f + f + d),
        "norms": (2 * layers + 1) * 2 * d, "head": 0}


def test_counting_405_billion_parameters_allocates_next_to_nothing():
    config = Config.preset("llama3-405b")
    tracemalloc.start()
    try:
        config.num_parameters(), config.parameters_by_part(), config.shapes()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1e6, f"{peak:,} bytes, for counting"


@given(configs())
def test_matrices_come_before_vectors(config):
    axes = [len(shape) for shape in config.shapes().values()]
    assert axes == sorted(axes, reverse=True), "a vector stands before a matrix, so weight decay can't be one slice"


# --- presets ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [*PUBLISHED, *OURS])
def test_a_presets_entry_has_no_field_that_nothing_reads(name):
    entry = _presets()[name]
    assert set(entry) - {"base", "family", "recipe"} <= {field.name for field in fields(Config)}
    assert ("base" in entry) != ("family" in entry)
    assert entry.get("family", "llama") in FAMILIES
    assert set(entry.get("recipe", {})) <= {"peak_lr", "batch_tokens", "tokens"}


def test_a_preset_can_be_changed_and_the_preset_stays():
    changed = Config.preset("llama-nano", num_layers=3, dropout=0.1)
    assert (changed.num_layers, changed.dropout, changed.d_model) == (3, 0.1, 128)
    assert Config.preset("llama-nano").num_layers == 2


def test_a_changed_preset_derives_what_was_not_given():
    assert Config.preset("gpt-nano", num_heads=3) == Config.preset("gpt-nano").replace(num_heads=3)
    assert (Config.preset("gpt-nano", num_heads=3).head_size, Config.preset("gpt-nano", num_heads=3).num_kv_heads) == (64, 3)


def test_published_recipes_are_beside_the_shapes():
    assert Config.recipe("gpt3-175b") == {"peak_lr": 0.6e-4, "batch_tokens": 3_200_000, "tokens": 300_000_000_000}
    assert Config.recipe("llama1-7b")["tokens"] == 1_000_000_000_000
    assert Config.recipe("llama1-65b") == {"peak_lr": 1.5e-4, "batch_tokens": 4_000_000, "tokens": 1_400_000_000_000}
    assert Config.recipe("llama2-70b") == {"peak_lr": 1.5e-4, "batch_tokens": 4_000_000, "tokens": 2_000_000_000_000}
    assert Config.recipe("llama3-405b") == {"peak_lr": 8e-5, "batch_tokens": 16_000_000, "tokens": 15_600_000_000_000}
    assert Config.recipe("tinyllama-1.1b")["tokens"] == 3_000_000_000_000
    assert Config.recipe("mistral-7b") == {}, "nothing was published"
    assert Config.recipe("llama3.2-1b") == {}, "the recipe of the preset that it starts from is another model's"


def test_a_recipe_is_a_copy():
    Config.recipe("llama1-7b")["tokens"] = 1
    assert Config.recipe("llama1-7b")["tokens"] == 1_000_000_000_000


def test_the_shapes_that_counts_alone_would_not_show():
    mistral, llama3, llama1 = Config.preset("mistral-7b"), Config.preset("llama3-8b"), Config.preset("llama1-7b")
    assert mistral.sliding_window == 4096
    assert (llama3.rope_theta, llama3.norm_eps, llama3.num_kv_heads, llama3.max_seq_len) == (500_000, 1e-5, 8, 8192)
    assert (llama1.rope_theta, llama1.norm_eps, llama1.max_seq_len) == (10_000, 1e-6, 2048)
    assert Config.preset("llama2-7b").norm_eps == 1e-5 and Config.preset("llama2-7b").max_seq_len == 4096
    assert Config.preset("llama3.2-1b").rope_scaling == Llama3Scaling(32.0, 1.0, 4.0, 8192)
    assert Config.preset("llama3.2-1b").head_size == 64 and Config.preset("llama3.2-3b").head_size == 128
    gpt2 = Config.preset("gpt2")
    assert (gpt2.norm, gpt2.positions, gpt2.feed_forward, gpt2.tied, gpt2.norm_position) == ("layernorm", "learned", "gelu_tanh", True, "pre")


@pytest.mark.parametrize("ask", [Config.preset, Config.recipe])
def test_an_unknown_preset_is_answered_with_those_there_are(ask):
    with pytest.raises(ValueError, match="no preset 'gpt5'.*gpt-nano, llama-nano"):
        ask("gpt5")


# --- impossible configs ---------------------------------------------------------------------------------------------------

IMPOSSIBLE = [
    (dict(d_model=7, head_size=None), ["d_model = 7", "num_heads = 2", "head_size"]),
    (dict(head_size=3), ["head_size = 3", "even", "positions"]),
    (dict(num_kv_heads=4), ["num_heads = 2", "num_kv_heads = 4"]),
    (dict(num_heads=3, num_kv_heads=2), ["num_heads = 3", "num_kv_heads = 2"]),
    (dict(norm_bias=True), ["norm_bias", "norm", "layernorm"]),
    (dict(norm="rms"), ["norm", "rmsnorm, layernorm", "'rms'"]),
    (dict(norm=["rmsnorm"]), ["norm", "rmsnorm, layernorm"]),
    (dict(norm_position="Pre"), ["norm_position", "pre, post", "'Pre'"]),
    (dict(positions="rotary"), ["positions", "rope, learned, sinusoidal", "'rotary'"]),
    (dict(feed_forward="geglu"), ["feed_forward", "swiglu, gelu, gelu_tanh, relu", "'geglu'"]),
    (dict(rope_pairing="halves"), ["rope_pairing", "half, interleaved", "'halves'"]),
    (dict(initialisation="xavier"), ["initialisation", "gpt2, fan_in", "'xavier'"]),
    (dict(dropout=1.0), ["dropout", "below 1", "1.0"]),
    (dict(dropout=-0.1), ["dropout", "-0.1"]),
    (dict(dropout=float("nan")), ["dropout", "nan"]),
    (dict(dropout="0.1"), ["dropout", "'0.1'"]),
    (dict(dropout=True), ["dropout", "True"]),
    (dict(norm_eps=0.0), ["norm_eps", "positive"]),
    (dict(norm_eps="1e-5"), ["norm_eps", "'1e-5'"]),
    (dict(norm_eps=float("nan")), ["norm_eps", "nan"]),
    (dict(rope_theta=-1.0), ["rope_theta", "positive"]),
    (dict(rope_theta=float("inf")), ["rope_theta", "inf"]),
    (dict(rope_theta=None), ["rope_theta", "None"]),
    (dict(rope_scaling="linear"), ["rope_scaling", "LinearScaling", "'linear'"]),
    (dict(rope_scaling=LinearScaling(0.0)), ["rope_scaling.factor", "positive", "0.0"]),
    (dict(rope_scaling=LinearScaling("2")), ["rope_scaling.factor", "'2'"]),
    (dict(rope_scaling=Llama3Scaling(high_freq_factor=1.0)), ["rope_scaling.low_freq_factor", "high_freq_factor"]),
    (dict(rope_scaling=LinearScaling(2.0), positions="learned"), ["rope_scaling", "positions", '"learned"']),
    *[({name: value}, [name, "true or false", repr(value)]) for name in ("norm_bias", "attention_bias", "feed_forward_bias", "tied")
      for value in ("yes", 1, None)],
    *[({name: value}, [name, "whole number", repr(value)])
      for name in ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "d_ff", "max_seq_len", "head_size", "sliding_window")
      for value in (0, -2, 2.0, True, "2")],
    *[({name: None}, [name, "None"]) for name in ("vocab_size", "d_model", "num_layers", "num_heads", "d_ff", "max_seq_len")],
]


@pytest.mark.parametrize("changes, words", IMPOSSIBLE, ids=[str(changes) for changes, _ in IMPOSSIBLE])
def test_an_impossible_config_is_a_sentence_that_names_the_fields(changes, words, unchecked):
    with pytest.raises(ValueError) as told:
        Config(**(LLAMA | changes))
    missing = [word for word in words if word not in str(told.value)]
    assert not missing, f"{told.value!s} lacks {missing}"
    assert str(told.value).endswith(".")


@pytest.mark.parametrize("values, words", [
    (dict(num_head=2), ["no field num_head", "num_heads"]),
    (dict(n_layer=2, bias=True), ["no field bias, n_layer"]),
    (dict(rope_scaling=dict(kind="yarn", factor=2.0)), ["rope_scaling.kind", "linear, llama3", "'yarn'"]),
    (dict(rope_scaling=dict(kind=["linear"])), ["rope_scaling.kind", "linear, llama3"]),
    (dict(rope_scaling=dict(factor=2.0)), ["rope_scaling.kind", "None"]),
    (dict(rope_scaling=dict(kind="linear")), ["kind linear", "factor", "none"]),
    (dict(rope_scaling=dict(kind="linear", factor=2.0, low=1)), ["kind linear", "fields factor", "low"]),
    (dict(rope_scaling=dict(kind="linear", factor=-2.0)), ["rope_scaling.factor", "-2.0"]),
    (dict(rope_scaling=3), ["rope_scaling", "3"]),
])
def test_plain_data_that_is_no_config_is_a_sentence(values, words, unchecked):
    with pytest.raises(ValueError) as told:
        Config.from_dict(LLAMA | values)
    assert [word for word in words if word not in str(told.value)] == [], str(told.value)


def test_missing_fields_are_named():
    with pytest.raises(ValueError, match="lacks d_ff, max_seq_len"):
        Config.from_dict({name: value for name, value in LLAMA.items() if name not in ("d_ff", "max_seq_len")})


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        Config(**LLAMA).d_model = 8


# --- there and back ---------------------------------------------------------------------------------------------------------

@given(configs())
def test_a_config_survives_json(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def as_toml(values):
    """TOML has no null: what is None is left out."""
    return "\n".join(f"{name} = {as_toml_value(value)}" for name, value in values.items() if value is not None)


def as_toml_value(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {as_toml_value(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


@given(configs())
def test_a_config_survives_toml(config):
    assert Config.from_dict(tomllib.loads(as_toml(config.to_dict()))) == config


@given(configs())
def test_replacing_nothing_changes_nothing(config):
    assert config.replace() == config
    assert config.replace(num_layers=config.num_layers + 1).replace(num_layers=config.num_layers) == config


def test_replace_derives_anew_what_was_derived_and_keeps_what_was_given():
    derived = Config(**(GPT2 | dict(d_model=12, num_heads=2)))
    assert (derived.replace(num_heads=3).head_size, derived.replace(num_heads=3).num_kv_heads) == (4, 3)
    assert derived.replace(d_model=24).head_size == 12
    given_sizes = Config(**(GPT2 | dict(d_model=12, num_heads=2, num_kv_heads=1, head_size=5)))
    assert (given_sizes.replace(num_heads=3).head_size, given_sizes.replace(num_heads=3).num_kv_heads) == (5, 1)
    assert derived.replace(num_heads=3, head_size=7).head_size == 7


@given(configs())
def test_a_flat_buffer_holds_exactly_the_parameters_of_its_config(config):
    params = Parameters(config.shapes())
    assert sum(view.size for view in params.values()) == config.num_parameters()
    assert {name: view.shape for name, view in params.items()} == config.shapes()
