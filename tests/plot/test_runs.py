"""Runs side by side: every loss is drawn, and the thick line is a mean that never looks ahead."""

import numpy as np
import pytest
from minillm.plot.runs import runs, smooth


@pytest.mark.parametrize("window", [1, 3, 5, 20])
def test_smoothing_is_the_mean_of_the_last_steps(window):
    losses = np.random.default_rng(0).random(12).tolist()
    expected = [np.mean(losses[max(0, i - window + 1):i + 1]) for i in range(12)]
    np.testing.assert_allclose(smooth(losses, window), expected)


def test_each_run_is_drawn_with_its_floor_in_its_panel():
    made = runs({"left": {"a": [3.0, 2.0], "b": [4.0, 1.0]}, "right": {"a": [5.0]}}, {"floor": 0.5}, unit="letter", window=1)
    left, right = made.axes
    thick = [line for line in left.lines if line.get_label() in ("a", "b")]
    assert [[*line.get_ydata()] for line in thick] == [[3.0, 2.0], [4.0, 1.0]] and [*thick[0].get_xdata()] == [1, 2]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["a", "b", "floor"]
    assert [*right.lines[-1].get_ydata()] == [0.5, 0.5] and right.get_title() == "right"
    assert left.get_ylabel() == "loss (nats per letter)"


def test_several_starts_share_one_colour_and_one_name():
    (axes,) = runs({"": {"a": [[3.0, 2.0], [2.5, 2.0]], "b": [[1.0, 1.0]]}}).axes
    colours = {line.get_color() for line in axes.lines[:4]}
    assert len(axes.lines) == 6 and len(colours) == 1 and axes.lines[4].get_color() not in colours
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
