"""Hugging Face's config.json: read as transformers reads it, written so that reading gives the same config, and never trusted."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm import Config
from minillm.model import huggingface
from minillm.model.huggingface import family_of, read_config, written_config
from minillm.ops.rope import LinearScaling, Llama3Scaling

LLAMA = {"model_type": "llama", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 24, "max_position_embeddings": 64}
MISTRAL = LLAMA | {"model_type": "mistral"}
GPT2 = {"model_type": "gpt2", "vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64}
LLAMA3 = {"factor": 8, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
SHAPE = dict(vocab_size=50, d_model=16, num_layers=2, num_heads=4, d_ff=24, max_seq_len=64)


def read(values, **changes):
    return read_config({name: value for name, value in (values | changes).items() if value is not ...}, "config.json")[0]


# --- read --------------------------------------------------------------------------------------------------------------------

def test_what_is_left_out_means_what_transformers_takes_it_to_mean():
    assert read(LLAMA) == Config(**SHAPE, norm_eps=1e-6)
    assert read(MISTRAL, num_attention_heads=8) == Config(**SHAPE | {"num_heads": 8}, num_kv_heads=8, norm_eps=1e-6, sliding_window=4096)
    assert read(GPT2) == Config(**SHAPE | {"d_ff": 64}, norm="layernorm", norm_bias=True, positions="learned", feed_forward="gelu_tanh",
                                attention_bias=True, feed_forward_bias=True, tied=True)


@pytest.mark.parametrize("base, entries, ours", [
    (LLAMA, {"num_key_value_heads": 2}, {"num_kv_heads": 2}), (LLAMA, {"num_key_value_heads": None}, {"num_kv_heads": 4}),
    (LLAMA, {"head_dim": 6}, {"head_size": 6}), (LLAMA, {"attention_bias": True}, {"attention_bias": True, "feed_forward_bias": False}),
    (LLAMA, {"mlp_bias": True}, {"attention_bias": False, "feed_forward_bias": True}), (LLAMA, {"tie_word_embeddings": True}, {"tied": True}),
    (LLAMA, {"rms_norm_eps": 1e-3}, {"norm_eps": 1e-3}), (LLAMA, {"hidden_act": "swish"}, {"feed_forward": "swiglu"}),
    (LLAMA, {"sliding_window": 5}, {"sliding_window": None}),                    # a Llama has none, whatever its config says
    (MISTRAL, {"sliding_window": 5, "num_key_value_heads": 1}, {"sliding_window": 5, "num_kv_heads": 1}),
    (MISTRAL, {"sliding_window": None, "num_key_value_heads": None}, {"sliding_window": None, "num_kv_heads": 4}),
    (MISTRAL, {"attention_bias": True, "num_key_value_heads": 4}, {"attention_bias": False}),
    (GPT2, {"n_inner": 20}, {"d_ff": 20}), (GPT2, {"n_inner": None}, {"d_ff": 64}), (GPT2, {"tie_word_embeddings": False}, {"tied": False}),
    (GPT2, {"activation_function": "gelu"}, {"feed_forward": "gelu"}), (GPT2, {"activation_function": "relu"}, {"feed_forward": "relu"}),
    (GPT2, {"activation_function": "gelu_pytorch_tanh"}, {"feed_forward": "gelu_tanh"}),
    (GPT2, {"layer_norm_epsilon": 1e-3, "scale_attn_weights": True, "reorder_and_upcast_attn": True}, {"norm_eps": 1e-3}),
], ids=lambda value: "" if "model_type" in value else str(value))
def test_an_entry_is_understood(base, entries, ours):
    config = read(base, **entries)
    assert {name: getattr(config, name) for name in ours} == ours


@pytest.mark.parametrize("rates, ours", [
    ((0.1, 0.1, 0.1), 0.0), ((0.2, 0.2, 0.0), 0.2), ((0.0, 0.2, 0.0), 0.0), ((0, 0, 0), 0.0), ((None, None, None), 0.0)])
def test_dropout_is_read_where_it_is_exactly_ours(rates, ours):
    assert read(GPT2, **dict(zip(("embd_pdrop", "resid_pdrop", "attn_pdrop"), rates, strict=True))).dropout == ours
    assert read(LLAMA, attention_dropout=0.1).dropout == 0


LINEAR = LinearScaling(2.0)
LLAMA3_SCALING = Llama3Scaling(8.0, 1.0, 4.0, 32)


@pytest.mark.parametrize("entries, theta, scaling", [
    ({}, 10_000, None), ({"rope_theta": 500}, 500, None), ({"rope_scaling": None, "rope_theta": 500.5}, 500.5, None), ({"rope_scaling": {}}, 10_000, None),
    ({"rope_scaling": {"type": "linear", "factor": 2}}, 10_000, LINEAR), ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, 10_000, LINEAR),
    ({"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2.0}, "rope_theta": 7}, 7, LINEAR),
    ({"rope_scaling": {"rope_type": "llama3", **LLAMA3}, "rope_theta": 7}, 7, LLAMA3_SCALING),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": 7}}, 7, None), ({"rope_parameters": {"rope_theta": 7}, "rope_theta": 8}, 7, None),
    ({"rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 7}}, 7, LINEAR),
    ({"rope_parameters": {"rope_type": "llama3", **LLAMA3, "rope_theta": 7}}, 7, LLAMA3_SCALING),
    ({"rope_parameters": {"rope_type": "llama3", **LLAMA3, "original_max_position_embeddings": None}}, 10_000, Llama3Scaling(8.0, 1.0, 4.0, 64)),
    ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1}, "partial_rotary_factor": 1.0}, 10_000, None),
], ids=str)
def test_rope_in_the_words_of_today_and_of_yesterday(entries, theta, scaling):
    config = read(LLAMA, **entries)
    assert (config.rope_theta, config.rope_scaling) == (theta, scaling)


REFUSED = [
    (LLAMA, {"model_type": "qwen2"}, "architecture 'qwen2'"), (LLAMA, {"model_type": ...}, "lacks model_type"),
    (LLAMA, {"model_type": 3}, "model_type must be a string"), (LLAMA, {"model_type": ["llama"]}, "model_type must be a string"),
    *[(LLAMA, {name: ...}, f"lacks {name}") for name in LLAMA if name != "model_type"],
    *[(GPT2, {name: ...}, f"lacks {name}") for name in GPT2 if name != "model_type"],
    *[(LLAMA, {"hidden_size": value}, "hidden_size must be a whole number") for value in (0, -1, 2.0, "16", True, [16], float("nan"))],
    (LLAMA, {"num_attention_heads": 3}, "doesn't divide"), (LLAMA, {"num_key_value_heads": 3}, "doesn't divide"),
    (LLAMA, {"head_dim": 5}, "must be even"), (LLAMA, {"rms_norm_eps": 0}, "norm_eps must be a positive"),
    (LLAMA, {"rms_norm_eps": "1e-6"}, "rms_norm_eps must be a number"), (LLAMA, {"rms_norm_eps": float("inf")}, "rms_norm_eps must be a number"),
    (LLAMA, {"rope_theta": 10**4000}, "rope_theta must be a number"), (LLAMA, {"rope_theta": 0}, "rope_theta must be a positive"),
    (LLAMA, {"attention_bias": "yes"}, "attention_bias must be true or false"), (LLAMA, {"mlp_bias": 1}, "mlp_bias must be true or false"),
    (LLAMA, {"hidden_act": "gelu"}, "hidden_act = 'gelu'"), (LLAMA, {"hidden_act": {}}, "hidden_act must be a string"),
    (LLAMA, {"quantization_config": {"quant_method": "gptq"}}, "quantised"), (LLAMA, {"rope_scaling": [1]}, "rope_scaling must be an object"),
    *[(LLAMA, {"rope_scaling": {"rope_type": kind, "factor": 2.0}}, f"RoPE type '{kind}'") for kind in ("yarn", "dynamic", "longrope", "su")],
    (LLAMA, {"rope_scaling": {"type": 7}}, "type must be a string"), (LLAMA, {"rope_scaling": {"type": "linear"}}, "in rope_scaling, lacks factor"),
    (LLAMA, {"rope_scaling": {"type": "linear", "factor": -1}}, "factor must be a positive"),
    (LLAMA, {"rope_parameters": {"rope_type": "llama3", **LLAMA3, "factor": "8"}}, "in rope_parameters,: factor must be a number"),
    (LLAMA, {"rope_parameters": {"rope_type": "llama3", **LLAMA3, "low_freq_factor": 4}}, "must be below high_freq_factor"),
    (LLAMA, {"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "'full_attention' can't be honoured"),
    (LLAMA, {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "attention_factor": 0.5}}, "'attention_factor' can't be honoured"),
    (LLAMA, {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor = 0.5"), (LLAMA, {"partial_rotary_factor": 0.5}, "partial_rotary"),
    (LLAMA, {"minillm": {"dropout": "x"}}, "dropout must be a number, not 'x'"), (LLAMA, {"minillm": {"dropout": 2}}, "below 1"),
    (LLAMA, {"minillm": {"rope_pairing": "odd"}}, "one of half, interleaved"), (LLAMA, {"minillm": 1}, "minillm must be an object"),
    (LLAMA, {"minillm": {"d_model": 8}}, "but not 'd_model'"),
    (MISTRAL, {"num_key_value_heads": 4, "sliding_window": 0}, "sliding_window must be a whole number"),
    (GPT2, {"activation_function": "gelu_fast"}, "activation_function = 'gelu_fast'"), (GPT2, {"n_inner": 0}, "n_inner must be"),
    (GPT2, {"scale_attn_weights": False}, "scale_attn_weights = False"), (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx = True"),
    (GPT2, {"add_cross_attention": True}, "add_cross_attention = True"), (GPT2, {"scale_attn_weights": 1}, "scale_attn_weights = 1"),
    (GPT2, {"embd_pdrop": "a"}, "embd_pdrop must be a number"),
]


@pytest.mark.parametrize("base, entries, sentence", REFUSED, ids=lambda value: "" if isinstance(value, dict) and "model_type" in value else str(value)[:60])
def test_what_can_not_be_honoured_is_refused_by_name(base, entries, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read(base, **entries)
    assert str(caught.value).startswith("config.json") and len(str(caught.value)) < 600


ODD = st.sampled_from([None, True, False, -1, 0, 1, 7, 2.5, float("nan"), float("inf"), 10**30, 10**4000, 1e-320, "", "llama", "linear", "\ud800",
                       [], [1], {}, {"a": 1}, {"rope_type": "llama3"}, {"type": "linear", "factor": 0}])
NATIVE = {"model_type": "minillm", **Config(**SHAPE, rope_scaling=LLAMA3_SCALING).to_dict()}
FULL = [written_config(Config(**SHAPE), "llama", "float32"), written_config(Config(**SHAPE, sliding_window=3), "mistral", "float32"),
        written_config(Config.preset("gpt-nano"), "gpt2", "float32"), NATIVE,
        LLAMA | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 7.0, **LLAMA3}}]


@given(st.sampled_from(FULL), st.data())
def test_no_config_makes_more_than_a_sentence(values, data):
    values = copy.deepcopy(values)
    for _ in range(data.draw(st.integers(1, 3))):
        tables = [values, *(value for value in values.values() if isinstance(value, dict) and value)]
        table = data.draw(st.sampled_from(tables))
        table[data.draw(st.sampled_from([*table, "minillm", "rope_scaling", "x"]))] = copy.deepcopy(data.draw(ODD))
    try:
        config, family = read_config(values, "config.json")
    except ValueError as problem:
        assert str(problem).startswith("config.json"), problem
        return
    assert read_config(written_config(config, family, "float32"), "written")[0] == config, "what is read can be written and read again"


# --- written -----------------------------------------------------------------------------------------------------------------

GPT2_CHOICES = dict(norm="layernorm", norm_bias=True, positions="learned", feed_forward="gelu_tanh", attention_bias=True, feed_forward_bias=True)
HOMES = [
    ("llama", {}), ("llama", dict(tied=True, num_kv_heads=2, attention_bias=True, feed_forward_bias=True, head_size=6, norm_eps=1e-3)),
    ("llama", dict(rope_scaling=LINEAR, rope_theta=7.5)), ("llama", dict(rope_scaling=LLAMA3_SCALING, dropout=0.1, initialisation="fan_in")),
    ("llama", dict(rope_pairing="interleaved")), ("mistral", dict(sliding_window=3, num_kv_heads=1, tied=True)),
    ("mistral", dict(num_heads=5, head_size=4)),                                 # 16 doesn't divide by 5, which transformers' Llama insists on
    ("gpt2", GPT2_CHOICES | dict(tied=True, dropout=0.1)), ("gpt2", GPT2_CHOICES | dict(feed_forward="relu", initialisation="fan_in")),
    ("gpt2", GPT2_CHOICES | dict(feed_forward="gelu", norm_eps=1e-3)),
    ("minillm", dict(norm="layernorm")), ("minillm", dict(norm_position="post")), ("minillm", dict(positions="sinusoidal")),
    ("minillm", dict(feed_forward="relu")), ("minillm", dict(sliding_window=3, attention_bias=True)), ("minillm", dict(positions="learned")),
    ("minillm", GPT2_CHOICES | dict(num_kv_heads=2)), ("minillm", GPT2_CHOICES | dict(head_size=6)), ("minillm", GPT2_CHOICES | dict(norm_bias=False)),
    ("minillm", GPT2_CHOICES | dict(sliding_window=3)), ("minillm", GPT2_CHOICES | dict(norm_position="post")),
    ("minillm", GPT2_CHOICES | dict(attention_bias=False)), ("minillm", GPT2_CHOICES | dict(feed_forward_bias=False)),
]


@pytest.mark.parametrize("family, choices", HOMES, ids=str)
def test_a_config_finds_its_home_and_is_read_back_as_it_was(family, choices):
    config = Config(**SHAPE | choices)
    found, obstacle = family_of(config)
    assert found == family, obstacle
    assert bool(obstacle) == (family == "minillm")
    assert read_config(written_config(config, family, "float32"), "config.json") == (config, family)


@pytest.mark.parametrize("choices, obstacle", [
    (dict(positions="sinusoidal"), "llama has no positions = 'sinusoidal'"), (GPT2_CHOICES | dict(sliding_window=3), "gpt2 has no sliding_window = 3"),
    (dict(sliding_window=3, attention_bias=True), "llama has no sliding_window = 3")], ids=str)
def test_the_obstacle_is_named(choices, obstacle):
    assert family_of(Config(**SHAPE | choices))[1] == obstacle


@pytest.mark.parametrize("name", Config.preset_names())
def test_every_preset_has_a_home(name):
    assert family_of(Config.preset(name))[0] != "minillm"


# --- tensors -----------------------------------------------------------------------------------------------------------------

def test_the_pairing_of_channels_goes_there_and_back():
    x = np.arange(24).reshape(2, 12) * 1.0
    assert huggingface.halved(x[0], 6).tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    for e in (2, 4, 6, 12):
        assert np.array_equal(huggingface.interleaved(huggingface.halved(x, e), e), x)


@pytest.mark.parametrize("family, given_, full", [
    ("gpt2", "wte.weight", "transformer.wte.weight"), ("gpt2", "h.11.ln_1.bias", "transformer.h.11.ln_1.bias"),
    ("gpt2", "transformer.wpe.weight", "transformer.wpe.weight"), ("gpt2", "lm_head.weight", "lm_head.weight"),
    ("llama", "layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"), ("llama", "norm.weight", "model.norm.weight"),
    ("llama", "lm_head.weight", "lm_head.weight"), ("mistral", "embed_tokens.weight", "model.embed_tokens.weight"),
    ("minillm", "layers.0.query.weight", "layers.0.query.weight"), ("gpt2", "header.weight", "header.weight")])
def test_names_without_their_prefix_are_understood(family, given_, full):
    assert huggingface.full_name(given_, family) == full
