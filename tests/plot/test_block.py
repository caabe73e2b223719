"""The pictures of lesson 6: what is given is drawn, in the right place, with units."""

import io

import numpy as np
import pytest

from minillm.plot import block, save


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def curve(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


FALLING = [6.0, 4.0, 2.0, 1.0]


def test_a_histogram_has_every_row_and_counts_in_percent():
    axes = block.amplification({"right": [1.0] * 50, "wrong": np.geomspace(20, 300, 200)}).axes[0]
    assert [round(sum(bar.get_height() for bar in container), 6) for container in axes.containers] == [100, 100]
    assert texts(axes) == ["right", "wrong"] and axes.get_xscale() == "log" and "(%)" in axes.get_ylabel()


def test_waves_are_an_image_with_a_row_for_each_position():
    table = np.sin(np.arange(12.0)).reshape(4, 3)
    axes = block.waves(table).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), table)
    assert axes.get_ylabel() == "position (tokens)" and axes.get_xlabel() == "channel"


def test_angles_stand_left_and_scores_right():
    left, right = block.turning({"pair 0": [1, 0.5]}, {"slow": [1, 0.9, 0.8]}).axes
    assert [*curve(left, "pair 0").get_ydata()] == [1, 0.5]
    assert [*curve(right, "slow").get_xdata()] == [0, 1, 2] and [*curve(right, "slow").get_ydata()] == [1, 0.9, 0.8]


def test_functions_stand_left_and_their_slopes_right():
    left, right = block.activations([-1, 1], {"ReLU": [0, 1]}, {"ReLU": [0, 2]}).axes
    assert [*left.lines[0].get_ydata()] == [0, 1] and [*right.lines[0].get_ydata()] == [0, 2]


def test_a_number_after_each_block_begins_with_the_embedding():
    axes = block.by_block({"a": [0.0, 0.5, 0.9]}, "mean cosine").axes[0]
    assert [*curve(axes, "a").get_xdata()] == [0, 1, 2] and axes.get_ylabel() == "mean cosine"


def test_steps_are_counted_from_one_and_compared_with_one_learning_rate():
    axes = block.first_steps({"corrected": [1.0, 1.1]}).axes[0]
    assert [*curve(axes, "corrected").get_xdata()] == [1, 2]
    assert [*curve(axes, "one learning rate").get_ydata()] == [1, 1]


def test_schedules_are_drawn_from_step_0():
    axes = block.schedules({"cosine": [0.5, 1.0, 0.1], "constant": [0.5, 1, 1]}).axes[0]
    assert [*curve(axes, "cosine").get_xdata()] == [0, 1, 2] and [*curve(axes, "constant").get_ydata()] == [0.5, 1, 1]


def test_the_mean_is_over_the_last_losses_or_as_many_as_there_are():
    assert block.smoothed([6, 4, 2, 0], 2) == ([1, 2, 3, 4], [6, 5, 3, 1])


def test_every_panel_has_the_whole_models_curves_its_own_and_the_same_range():
    made = block.ablations({"left": {"no norm": [6.0, 19.0]}, "right": {"ReLU": FALLING}}, [FALLING, FALLING], window=1, levels={"unigram": 4.6})
    left, right = made.axes
    assert left.get_ylim() == right.get_ylim() == (1, 20), "whole ticks around all that is drawn"
    assert texts(left) == ["the whole block, 2 seeds", "no norm"] and texts(right) == ["the whole block, 2 seeds", "ReLU"]
    for axes in (left, right):
        assert [*curve(axes, "the whole block, 2 seeds").get_ydata()] == FALLING
        assert any([*line.get_ydata()] == [4.6, 4.6] for line in axes.lines) and "unigram" in [text.get_text() for text in axes.texts]


def test_a_run_that_was_stopped_ends_in_a_cross():
    left, right = block.ablations({"a": {"no norm": [6.0, 9.0]}, "b": {"ReLU": FALLING}}, [FALLING], window=1).axes
    crosses = [[line for line in axes.lines if line.get_marker() == "x"] for axes in (left, right)]
    assert [len(each) for each in crosses] == [1, 0]
    assert ([*crosses[0][0].get_xdata()], [*crosses[0][0].get_ydata()]) == ([2], [9])


def test_learning_shows_each_loss_their_mean_and_the_least_possible():
    axes = block.learning([4.0, 2.0], floor=0.25, window=2).axes[0]
    single, mean, floor = axes.lines
    assert [*single.get_ydata()] == [4, 2] and [*mean.get_ydata()] == [4, 3] and [*floor.get_ydata()] == [0.25, 0.25]
    low, high = axes.get_ylim()
    assert low < 0.25 and high > 4


def test_tokens_have_a_bar_for_each_way_to_sample():
    left, right = block.next_tokens(["a", "b"], {"temperature": {"1": [0.9, 0.1], "2": [0.6, 0.4]}, "cut": {"top-k": [1.0, 0.0]}}).axes
    assert [[bar.get_height() for bar in container] for container in left.containers] == [[0.9, 0.1], [0.6, 0.4]]
    assert [bar.get_height() for bar in right.containers[0]] == [1, 0]
    assert [label.get_text() for label in left.get_xticklabels()] == ["a", "b"] and right.get_title() == "cut"


@pytest.mark.parametrize("made", [
    block.amplification({"a": [1.0, 2.0], "b": [3.0]}), block.waves(np.eye(3)), block.turning({"a": [1, 2]}, {"b": [1, 2]}),
    block.ablations({"a": {"b": FALLING}}, [FALLING]), block.learning(FALLING, 0.2), block.next_tokens(["a"], {"t": {"w": [1.0]}})],
    ids=["amplification", "waves", "turning", "ablations", "learning", "next tokens"])
def test_every_picture_can_be_saved(made):
    file = io.BytesIO()
    save(made, file, format="png")
    assert len(file.getvalue()) > 3000
