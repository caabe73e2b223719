"""The pictures of lesson 1 show the numbers they were given, under the right names."""

import numpy as np
from minillm.plot import COLOURS, language


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_what_follows_what_has_the_last_character_in_rows_and_the_next_in_columns():
    p = np.array([[0.1, 0.9, 0.0], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    axes, bar = language.following(p, ["a", " ", "\n"]).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), p)
    assert axes.images[0].get_clim() == (0, 1), "two such pictures could not be compared"
    assert labels(axes.xaxis) == labels(axes.yaxis) == ["a", "␣", "⏎"]
    assert axes.get_xlabel().startswith("next character") and axes.get_ylabel() == "last character"
    assert bar.get_ylabel() == "probability"


def test_choices_are_percent_with_a_bar_for_each_row_and_name():
    (axes,) = language.choices({"T = 1": {"x": 0.25, " ": 0.75}, "T = 2": {"x": 0.4, " ": 0.6}}, "after a").axes
    assert [[bar.get_height() for bar in group] for group in axes.containers] == [[25, 75], [40, 60]]
    assert labels(axes.xaxis) == ["x", "␣"] and axes.get_ylabel() == "probability (%)" and axes.get_xlabel() == "after a"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["T = 1", "T = 2"]


def test_surprise_has_a_bar_for_every_character_on_one_scale():
    made = language.surprise("a b", {"one": [1, 2, 3], "two": [0, 0, 4.5]})
    first, second = made.axes
    assert [bar.get_height() for bar in first.patches] == [1, 2, 3]
    assert [bar.get_height() for bar in second.patches] == [0, 0, 4.5]
    assert first.get_ylim() == second.get_ylim()
    assert first.get_title(loc="left") == "one: 6.0 nats in all" and second.get_title(loc="left") == "two: 4.5 nats in all"
    assert labels(second.xaxis) == ["a", "␣", "b"]


def test_memory_draws_both_losses_of_each_curve_and_the_floor():
    (axes,) = language.memory({"few": ([2, 1, 0.5], [2, 1.5, 1.8]), "many": ([2, 1.1, 0.7], [2, 1.2, 0.9])}, 0.06).axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["few: on other tales"].get_ydata(), [2, 1.5, 1.8])
    np.testing.assert_array_equal(lines["many: on the tales it counted"].get_ydata(), [2, 1.1, 0.7])
    np.testing.assert_array_equal(lines["few: on other tales"].get_xdata(), [0, 1, 2])
    assert lines["few: on other tales"].get_color() == lines["few: on the tales it counted"].get_color() == COLOURS[0]
    assert [*lines["entropy: no model is better on new tales"].get_ydata()] == [0.06, 0.06]
    assert axes.get_ylabel() == "loss (nats per byte)" and axes.get_yscale() == "log"
