"""The pictures of lesson 2 show the numbers they were given, under the right names."""

import numpy as np
from minillm.plot import COLOURS, tokens


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_growth_has_a_curve_for_each_unit_on_logarithmic_axes():
    (axes,) = tokens.growth([1, 2, 3], {"words": [1, 2, 3], "characters": [4, 5, 5]}).axes
    assert {line.get_label(): [*line.get_ydata()] for line in axes.lines} == {"words": [1, 2, 3], "characters": [4, 5, 5]}
    assert axes.get_xscale() == axes.get_yscale() == "log" and axes.get_xlabel() == "words read"


def test_a_tree_joins_what_was_merged_and_underlines_the_tokens():
    (axes,) = tokens.tree(" low", [(2, 3, 7), (1, 3, 9)]).axes
    texts = {text.get_text(): text.get_position() if not hasattr(text, "xy") else text.xy for text in axes.texts}
    assert {"␣", "l", "o", "w", "merge 7", "merge 9"} == texts.keys()
    assert texts["merge 7"] == (2.5, 1.0), "between o and w"
    assert texts["merge 9"] == (1.75, 2.0), "between l and the middle of ow"
    roofs = [line for line in axes.lines if line.get_color() == COLOURS[0]]
    np.testing.assert_array_equal(roofs[1].get_xydata(), [(1, 0), (1, 2), (2.5, 2), (2.5, 1)])
    bars = [(round(line.get_xdata()[0] + 0.38), round(line.get_xdata()[1] - 0.38)) for line in axes.lines if line.get_color() != COLOURS[0]]
    assert bars == [(0, 0), (1, 3)]


def test_sizes_are_named_where_they_stand():
    (axes,) = tokens.sizes([256, 512, 1024], {"learnt": [1, 2, 3], "other": [1, 1.5, 1.8]}).axes
    assert labels(axes.xaxis) == ["256", "512", "1,024"] and axes.get_xscale() == "log"
    assert {line.get_label(): [*line.get_ydata()] for line in axes.lines} == {"learnt": [1, 2, 3], "other": [1, 1.5, 1.8]}
    assert axes.get_ylim()[0] == 0, "a curve cut off below looks steeper than it is"


def test_kinds_has_a_bar_for_each_kind_and_tokenizer():
    (axes,) = tokens.kinds({"a": {"English": 3.0, "code": 2.0}, "b": {"English": 2.5, "code": 4.0}}).axes
    assert [[bar.get_height() for bar in group] for group in axes.containers] == [[3, 2], [2.5, 4]]
    assert labels(axes.xaxis) == ["English", "code"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert "1: each byte a token" in axes.get_ylabel()
