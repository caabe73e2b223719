"""The fifth assignment's own references do what the library does."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm import Config, updates
from minillm.cost.flops import of_model
from minillm.exercises import adamw, flops, load, sampling
from minillm.generation.sampling import Sampler


def test_adamw_is_the_librarys_over_several_steps():
    rng = np.random.default_rng(0)
    p = rng.normal(size=50)
    theirs, m, v = p.copy(), np.zeros(50), np.zeros(50)
    their_m, their_v = m.copy(), v.copy()
    settings = dict(lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.2)
    for step in range(1, 6):
        g = rng.normal(size=50)
        p, m, v = adamw.adamw(p, g, m, v, step, **settings)
        updates.adamw(theirs, g, their_m, their_v, step, **settings)
    for mine, other in ((p, theirs), (m, their_m), (v, their_v)):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_adamws_defaults_are_the_librarys():
    p, g, m, v = np.random.default_rng(1).uniform(0.1, 1, (4, 9))
    expected = p.copy()
    updates.adamw(expected, g, m.copy(), v.copy(), 3, 0.1)
    np.testing.assert_allclose(adamw.adamw(p, g, m, v, 3, 0.1)[0], expected, rtol=1e-12)


@settings(max_examples=200)
@given(logits=st.lists(st.integers(-6, 6), min_size=1, max_size=8), temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
       top_k=st.sampled_from([None, 1, 2, 5, 20]), top_p=st.sampled_from([None, 0.31, 0.77, 0.999, 1.0]), u=st.floats(0, 0.999))
def test_sampling_is_the_librarys(logits, temperature, top_k, top_p, u):
    """Logits are whole numbers, so there are ties; the library tells by what it draws."""
    logits = np.array(logits, float)
    p = sampling.probabilities(logits, temperature, top_k, top_p)
    library = Sampler(temperature=temperature, top_k=top_k, top_p=top_p)
    if temperature:
        z = library.filtered(logits)
        expected = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        np.testing.assert_allclose(p, expected, atol=1e-12)
    sums = np.cumsum(p)
    if np.abs(sums - u).min() > 1e-9:            # not on a seam, where a rounding decides
        dice = type("dice", (), {"random": lambda self: u})()
        assert sampling.draw(p, u) == inspect.unwrap(Sampler.choose)(library, logits, np.zeros(len(logits), bool), dice)


MODELS = [dict(vocab_size=300, d_model=48, num_layers=3, num_heads=6, num_kv_heads=2, d_ff=100, max_seq_len=64),
          dict(vocab_size=77, d_model=32, num_layers=2, num_heads=4, num_kv_heads=4, d_ff=50, max_seq_len=64, head_size=10, tied=True)]


def shape_of(config: Config) -> dict:
    return dict(v=config.vocab_size, d=config.d_model, layers=config.num_layers, h=config.num_heads, k=config.num_kv_heads, e=config.head_size,
        f=config.d_ff)


@pytest.mark.parametrize("config", [*(Config(**model) for model in MODELS), Config.preset("llama3-8b"), Config.preset("llama2-7b")])
@pytest.mark.parametrize("t", [1, 33, 4096])
def test_parameters_and_flops_are_the_librarys(config, t):
    shape = shape_of(config)
    assert flops.parameters(**shape, tied=config.tied) == config.num_parameters()
    bill = of_model(config, 1, t)
    assert flops.forward_flops(**shape, t=t) == bill.by_phase["forward"]
    assert flops.training_flops(**shape, t=t) == bill.total


def test_llama_3_8b_in_the_checks_is_the_preset():
    assert shape_of(Config.preset("llama3-8b")) == flops.LLAMA3_8B


@pytest.mark.parametrize("name", ["linear", "embedding", "schedule"])
def test_parameters_that_are_left_out_cannot_be_given(name):
    exercise, extra = load(name), {"linear": "into", "embedding": "into", "schedule": "kind"}[name]
    function = exercise.functions["learning_rate" if name == "schedule" else "backward"]
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{extra}'"):
        function(*[0] * (5 if name == "schedule" else 2), **{extra: None})
