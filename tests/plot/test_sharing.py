"""The pictures of the lesson on sharing keys show the numbers that they are given."""

import numpy as np
from minillm.plot import COLOURS, sharing


def test_a_line_goes_from_every_query_head_to_the_key_head_that_it_reads():
    (axes,) = sharing.who_reads_whom({"GQA": ([0, 0, 1, 1], 2)}).axes
    ends = [(round(line.get_xdata()[0], 6), round(line.get_xdata()[1], 6)) for line in axes.lines]
    assert ends == [(0.125, 0.25), (0.375, 0.25), (0.625, 0.75), (0.875, 0.75)]
    assert [line.get_color() for line in axes.lines] == [COLOURS[0], COLOURS[0], COLOURS[1], COLOURS[1]]
    assert axes.get_title() == "GQA"


def test_key_heads_that_nobody_reads_are_crossed_out():
    def marks(reads):
        (axes,) = sharing.who_reads_whom({"": (reads, 2)}).axes
        return [len(path.get_paths()[0].vertices) for path in axes.collections[1:]]     # a cross has other corners than a square
    all_read, one_read = marks([0, 1]), marks([0, 0])
    assert all_read[0] == all_read[1] == one_read[0] != one_read[1]


def test_the_size_of_the_cache_is_drawn_for_each_way_to_share():
    (axes,) = sharing.cache_sizes([1, 10], {"MHA": [2.0, 20.0], "MQA": [0.5, 5.0]}, {"the weights": 16.0}).axes
    assert [[*line.get_ydata()] for line in axes.lines] == [[2.0, 20.0], [0.5, 5.0], [16.0, 16.0]]
    assert axes.get_xscale() == axes.get_yscale() == "log" and axes.get_ylabel() == "keys and values (GB)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["MHA", "MQA", "the weights"]


def test_shares_are_bars_with_their_percents_above_them():
    (axes,) = sharing.shares({"MHA": {"parameters": 1.0, "cache": 1.0}, "GQA": {"parameters": 0.91, "cache": 0.25}}, "share").axes
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [1.0, 1.0, 0.91, 0.25])
    assert [text.get_text() for text in axes.texts] == ["100%", "100%", "91%", "25%"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["parameters", "cache"]
