"""The pictures of the lesson on attention show the numbers that they are given."""

import numpy as np
from minillm.plot import attention


def test_all_maps_share_one_scale_and_the_names_of_queries_and_keys():
    maps = {"head 0": [[0.5, 0.5]], "head 1": [[0.0, 0.25]]}
    made = attention.weights(maps, ["it"], ["cat", "dog"], digits=2)
    first, second = made.axes[:2]
    for axes, title, values in ((first, "head 0", [[0.5, 0.5]]), (second, "head 1", [[0.0, 0.25]])):
        np.testing.assert_array_equal(axes.images[0].get_array(), values)
        assert axes.images[0].get_clim() == (0.0, 1.0) and axes.get_title() == title
        assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["it"]
    assert made.axes[2].get_ylabel() == "weight"


def test_sharpness_has_a_curve_for_each_scale_in_both_pictures():
    made = attention.sharpness({"√e": [0.75, 0.25], "√D": [0.5, 0.5]}, {"√e": [1.0, 0.9], "√D": [0.6, 0.1]}, [4, 64])
    left, right = made.axes
    assert [[*line.get_ydata()] for line in left.lines] == [[0.75, 0.25], [0.5, 0.5]] and [*left.lines[0].get_xdata()] == [1, 2]
    assert [[*line.get_ydata()] for line in right.lines] == [[1.0, 0.9], [0.6, 0.1]] and [*right.lines[0].get_xdata()] == [4, 64]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["√e", "√D"]


def test_weights_and_slopes_stand_over_the_head_size():
    made = attention.weights_by_scale({"divided": [0.2, 0.2]}, {"divided": [0.3, 0.25]}, [4, 16])
    left, right = made.axes
    assert [*left.lines[0].get_ydata()] == [0.2, 0.2] and [*right.lines[0].get_ydata()] == [0.3, 0.25]
    assert [label.get_text() for label in left.get_xticklabels()] == ["4", "16"] and right.get_ylim()[0] == 0
