"""C ≈ 6ND on trial: the closed form of what the rule gets wrong is exactly what it gets wrong."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm import Config
from minillm.cost.flops import num_parameters, of_model
from minillm.cost.six_nd import MEANINGS, Row, Trial, gpt, holds_between, keys, terms, validate
from model.small import GPT2, LLAMA


@st.composite
def configs(draw):
    k = draw(st.integers(1, 4))
    norm = draw(st.sampled_from(["rmsnorm", "layernorm"]))
    return Config(
        vocab_size=draw(st.integers(1, 3000)), d_model=draw(st.integers(1, 300)), num_layers=draw(st.integers(1, 9)),
        num_kv_heads=k, num_heads=k * draw(st.integers(1, 4)), head_size=2 * draw(st.integers(1, 40)), d_ff=draw(st.integers(1, 900)),
        max_seq_len=draw(st.integers(300, 400)), norm=norm, norm_position=draw(st.sampled_from(["pre", "post"])),
        norm_bias=norm == "layernorm" and draw(st.booleans()), positions=draw(st.sampled_from(["rope", "learned", "sinusoidal"])),
        feed_forward=draw(st.sampled_from(["swiglu", "gelu", "gelu_tanh", "relu"])), attention_bias=draw(st.booleans()),
        feed_forward_bias=draw(st.booleans()), sliding_window=draw(st.none() | st.integers(1, 350)), tied=draw(st.booleans()))


@settings(max_examples=200)
@given(config=configs(), t=st.integers(1, 200), b=st.integers(1, 3))
def test_the_closed_form_is_exact_for_every_meaning_of_n(config, t, b):
    """On 200 random models: the sum of its terms is C/(6ND) − 1 as a fraction, for what is needed and for what is executed."""
    bill = of_model(config, b, t)
    windowless = config.sliding_window is None or config.sliding_window >= t
    for meaning in MEANINGS:
        six_nd = 6 * num_parameters(config, meaning) * b * t
        assert sum(terms(config, t, meaning).values()) == Fraction(bill.total, six_nd) - 1
        if windowless:
            assert sum(terms(config, t, meaning, executed=True).values()) == Fraction(bill.executed, six_nd) - 1


def test_the_formulas_of_the_docstring_by_hand():
    """Llama 3 8B: d 4096, f 14336, 32 layers, 32 and 8 heads of 128, vocabulary 128,256, untied."""
    config, t = Config.preset("llama3-8b"), 2048
    layers, d, he, ke, f, v = 32, 4096, 4096, 1024, 14336, 128_256
    m, n = layers * (2 * d * he + 2 * d * ke + 3 * d * f), (2 * layers + 1) * d
    everything = m + 2 * v * d + n
    assert config.num_parameters() == everything
    assert sum(terms(config, t).values()) == Fraction(layers * he * (t + 1) - v * d - n, everything)
    assert sum(terms(config, t, "non-embedding").values()) == Fraction(layers * he * (t + 1) + v * d - n, m + n)
    assert sum(terms(config, t, "matrices").values()) == Fraction(layers * he * (t + 1), m + v * d)


def test_two_errors_cancel_where_the_context_is_the_vocabulary_over_the_layers():
    config = Config.preset("llama3-8b")
    assert config.vocab_size // config.num_layers == 4008
    assert abs(sum(terms(config, 4008).values())) < 1e-4
    assert sum(terms(config, 2048).values()) < -0.03 and sum(terms(config, 8192).values()) > 0.06


def test_the_figures_of_the_readme():
    text = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
    for name, t, said in (("gpt2", 1024, "6.9 % above 6ND for GPT-2 at 1,024 tokens"),
                          ("llama3-405b", 131_072, "66 % above it for Llama 3 405B at 131,072")):
        assert said in text
        digits = 1 if "." in said[:3] else 0
        assert f"{100 * float(sum(terms(Config.preset(name), t).values())):.{digits}f} %" == said.partition(" above")[0]


def test_in_a_gpt_attention_is_t_over_12_d_of_the_blocks():
    config = gpt(4096)
    block_matrices = 12 * config.num_layers * config.d_model**2
    share = terms(config, 491)["attention"] * num_parameters(config) / block_matrices
    assert share == Fraction(492, 12 * 4096) and 491 == int(0.12 * 4096)
    assert abs(float(share) - 0.01) < 2e-5


def test_keys_are_those_that_a_query_sees():
    config = Config(**LLAMA)
    assert keys(config, 7) == Fraction(sum(range(1, 8)), 7)
    assert keys(config.replace(sliding_window=3), 7) == Fraction(1 + 2 + 3 * 5, 7)


@pytest.mark.parametrize("name", ["gpt2", "llama-nano", "llama1-7b", "llama3-8b", "llama3-405b", "mistral-7b"])
def test_the_rule_holds_exactly_between_the_two_contexts(name):
    config = Config.preset(name, sliding_window=None)
    first, last = holds_between(config)

    def error(t):
        config_ = config.replace(max_seq_len=max(t, config.max_seq_len))
        return abs(sum(terms(config_ if config.positions != "learned" else config, t).values()))

    assert error(first) <= Fraction(1, 100) and error(last) <= Fraction(1, 100)
    assert first == 1 or error(first - 1) > Fraction(1, 100)
    assert error(last + 1) > Fraction(1, 100)


def test_where_the_rule_never_holds_that_is_said():
    attention_alone = Config(**(LLAMA | dict(d_model=2, d_ff=1, num_heads=64, num_kv_heads=1, head_size=64, vocab_size=1, tied=True)))
    assert holds_between(attention_alone, within=0.001) is None


@pytest.fixture(scope="module")
def trial():
    return validate(counted=[("gpt-nano", 8), ("llama-nano", 130)], claimed=[("gpt2", 1024), ("llama3-8b", 4008)])


def test_small_models_are_run_and_counted_and_all_of_the_residual_is_explained(trial):
    counted, longer, *claimed = trial.rows
    assert trial.ok
    assert counted.counted == counted.claimed == of_model(counted.config, 1, 8, attention="executed").total
    assert longer.counted > of_model(longer.config, 1, 130).total, "blocks and scores made twice are executed, not needed"
    assert all(row.counted is None for row in claimed)


def test_a_miscount_would_be_reported(trial):
    row = trial.rows[0]
    wrong = Trial((replace(row, counted=row.counted + 2),))
    assert not wrong.ok and not wrong.as_json()["ok"]
    assert f"claimed {row.claimed:,}, counted {row.counted + 2:,}" in str(wrong)
    assert not Trial((replace(row, claimed=row.claimed + 2),)).ok, "a wrong claim"
    assert not Trial((replace(row, claimed=row.claimed + 2, counted=row.counted + 2),)).ok, "a number that the terms don't explain"


def test_the_table_says_what_the_json_says(trial):
    text, data = str(trial), json.loads(json.dumps(trial.as_json()))
    assert [row["model"] for row in data["rows"]] == ["gpt-nano", "llama-nano", "gpt2", "llama3-8b"]
    for row in data["rows"]:
        assert row["explained"]
        for meaning, ratio in row["ratio_to_6nd"].items():
            assert f"{ratio:.4f}" in text
            assert abs(sum(row["terms"][meaning].values()) - (ratio - 1)) < 1e-12
    assert data["rows"][2]["ratio_to_6nd"]["non-embedding"] == pytest.approx(1.5634, abs=1e-4)
    assert "3,397 to 4,621 tokens" in text


@pytest.mark.slow
def test_the_picture_is_drawn(trial, tmp_path):
    trial.picture(tmp_path / "six_nd.png")
    assert (tmp_path / "six_nd.png").read_bytes().startswith(b"\x89PNG")


def test_a_window_has_no_closed_form_of_blocks():
    with pytest.raises(ValueError, match="without a window"):
        terms(Config(**(GPT2 | dict(sliding_window=2))), 5, executed=True)
    assert isinstance(Row("x", 5, Config(**GPT2), 1, None, None).ratio("all"), Fraction)
