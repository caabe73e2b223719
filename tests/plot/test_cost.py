"""The pictures of lesson 7: what is given is drawn, in the right place, with units."""

import io

import numpy as np
import pytest

from minillm.plot import COLOURS, cost, save


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def curve(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_bars_are_shares_that_sum_to_a_hundred_percent():
    axes = cost.shares({"small": {"matrices": 3, "attention": 1}, "large": {"matrices": 10, "attention": 40}}).axes[0]
    matrices, attention = axes.containers
    assert [bar.get_width() for bar in matrices] == [75, 20] and [bar.get_width() for bar in attention] == [25, 80]
    assert [bar.get_x() for bar in attention] == [75, 20], "the second part begins where the first ends"
    assert texts(axes) == ["matrices", "attention"] and "(%)" in axes.get_xlabel()
    assert axes.yaxis_inverted(), "the first model is at the top"


def test_6nd_is_drawn_in_percent_and_what_is_counted_in_the_models_own_colour():
    contexts = [16, 256, 4096]
    axes = cost.beyond_six_nd(contexts, {"a": [-0.1, 0.0, 0.5], "b": [0.0, 0.1, 0.2]}, {"b": [0.1, 0.2, 0.3]}, {"b": [(256, 0.2)]}).axes[0]
    np.testing.assert_allclose(curve(axes, "a").get_ydata(), [-10, 0, 50])
    np.testing.assert_allclose(curve(axes, "b, as executed").get_ydata(), [10, 20, 30])
    dots = curve(axes, "b, counted")
    assert [*dots.get_xdata()] == [256] and [*dots.get_ydata()] == [20]
    assert {curve(axes, name).get_color() for name in ("b", "b, as executed", "b, counted")} == {COLOURS[1]}
    assert axes.yaxis.get_major_formatter()(10, 0) == "+10 %" and axes.yaxis.get_major_formatter()(0, 0) == "0"


def test_strong_scaling_stands_left_and_weak_right():
    left, right = cost.processors([1, 10, 100], {"s = 1 %": [1, 9, 50]}, {"s = 1 %": [1, 10, 99]}).axes
    assert [*curve(left, "s = 1 %").get_ydata()] == [1, 9, 50] and [*curve(right, "s = 1 %").get_ydata()] == [1, 10, 99]
    assert left.get_title().startswith("strong") and right.get_title().startswith("weak")
    assert [*curve(left, "no serial part").get_ydata()] == [1, 10, 100]


def test_memory_has_curves_over_tokens_and_levels_across():
    axes = cost.memory([256, 512], {"activations": [1.0, 2.0]}, {"states": 20.0}).axes[0]
    assert [*curve(axes, "states").get_ydata()] == [20, 20] and [*curve(axes, "activations").get_ydata()] == [1, 2]
    assert curve(axes, "states").get_color() != curve(axes, "activations").get_color()
    assert "GB" in axes.get_ylabel() and "tokens" in axes.get_xlabel()


@pytest.mark.parametrize("made", [
    cost.shares({"a": {"x": 1, "y": 2}}), cost.beyond_six_nd([16, 32], {"a": [0.1, 0.2]}, {}, {}),
    cost.processors([1, 2], {"s": [1, 2]}, {"s": [1, 2]}), cost.memory([1, 2], {"a": [1, 2]}, {"b": 3})],
    ids=["shares", "6ND", "processors", "memory"])
def test_every_picture_can_be_saved(made):
    file = io.BytesIO()
    save(made, file, format="png")
    assert len(file.getvalue()) > 5000
