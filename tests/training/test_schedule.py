from inspect import unwrap
from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.training.schedule import learning_rate

KINDS = ["constant", "linear", "cosine", "wsd"]


@given(kind=st.sampled_from(KINDS), steps=st.integers(1, 300), warmup=st.integers(0, 100), peak=st.floats(1e-5, 1.0), share=st.floats(0, 1))
def test_the_rate_rises_to_the_peak_and_stays_between_final_and_peak(kind, steps, warmup, peak, share):
    rates = [learning_rate(s, steps, peak, share * peak, warmup, kind) for s in range(steps)]
    rise = rates[:warmup]
    assert all(a < b for a, b in zip(rise, rise[1:], strict=False)), "the warm-up must rise"
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rise)
    fall = rates[warmup:]
    assert all(a >= b - 1e-15 for a, b in zip(fall, fall[1:], strict=False)), "after the warm-up nothing rises"
    assert all(share * peak - 1e-12 <= rate <= peak * (1 + 1e-12) for rate in fall)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_step_after_the_warm_up_has_the_peak_and_the_last_step_the_final_rate(kind):
    assert learning_rate(9, 100, 1.0, 0.1, 10, kind) == 1.0
    assert learning_rate(10, 100, 1.0, 0.1, 10, kind) == 1.0
    assert learning_rate(99, 100, 1.0, 0.1, 10, kind) == pytest.approx(1.0 if kind == "constant" else 0.1)


def test_the_cosine_is_the_published_one():
    """l + ½ (L − l)(1 + cos((t − t_w) π / (T − t_w))), with T the last step."""
    for step in range(5, 50):
        expected = 0.2 + 0.5 * (1.0 - 0.2) * (1 + cos((step - 5) * pi / (49 - 5)))
        assert learning_rate(step, 50, 1.0, 0.2, 5, "cosine") == pytest.approx(expected, rel=1e-12)


def test_wsd_is_flat_until_its_last_fifth():
    rates = [learning_rate(s, 101, 1.0, 0.0, 0, "wsd", decay=0.2) for s in range(101)]
    assert rates[:81] == [1.0] * 81
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)


def test_an_unknown_schedule_is_a_sentence():
    with pytest.raises(ValueError, match="one of constant, linear, cosine, wsd"):
        unwrap(learning_rate)(60, 100, 1.0, 0.1, 10, "cosin")      # without the tests' type check, which would refuse it first
