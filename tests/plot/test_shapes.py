"""The pictures of lesson 0 show the numbers they were given, where they belong."""

import numpy as np
import pytest
from minillm.plot import shapes


def cells(axes):
    """The grid's numbers as an array, and which of them are drawn as stored."""
    xs, ys = zip(*(text.get_position() for text in axes.texts))
    grid = np.full((round(max(ys) + 0.5), round(max(xs) + 0.5)), np.nan)
    stored = np.zeros(grid.shape, bool)
    for text, patch in zip(axes.texts, axes.patches, strict=True):
        place = tuple(int(c) for c in reversed(text.get_position()))
        grid[place] = float(text.get_text())
        stored[place] = patch.get_hatch() is None
    return grid, stored


@pytest.mark.parametrize("left, right", [((3, 1), (4,)), ((3, 4), (4,)), ((2, 3), (2, 1)), ((1,), (5,))])
def test_broadcasting_is_drawn_with_the_copies_hatched(left, right):
    a, b = np.arange(1.0, 1 + np.prod(left)).reshape(left), 10 * np.arange(1.0, 1 + np.prod(right)).reshape(right)
    made = shapes.broadcast(a, b)
    for axes, array, shape in zip(made.axes, (a, b, a + b), (left, right, (a + b).shape), strict=True):
        grid, stored = cells(axes)
        np.testing.assert_array_equal(grid, np.atleast_2d(np.broadcast_to(array, (a + b).shape)))
        assert stored.sum() == np.prod(shape)
        assert stored[0, 0] and axes.get_title().endswith(str(shape))
    assert shapes.broadcast(a, b, "×").axes[2].texts[-1].get_text() == f"{(a * b).flat[-1]:g}"


def test_a_graph_has_its_values_above_and_its_gradients_below():
    made = shapes.graph({"x": (0, 0, 1.5, -0.25), "y": (2, 1, 3.0, 1.0)}, [("x", "y", "2x", -0.75)])
    (axes,) = made.axes
    notes = {text.get_text(): text for text in axes.texts}
    assert {"x", "y", "1.5", "−0.25", "3", "+1", "2x", "−0.75"} <= notes.keys()
    assert notes["1.5"].xy == (0, 0) and notes["1.5"].get_position()[1] > 0
    assert notes["−0.25"].xy == (0, 0) and notes["−0.25"].get_position()[1] < 0
    assert notes["−0.75"].xy == notes["2x"].xy == (1, 0.5)
    assert notes["1.5"].get_color() == notes["3"].get_color() != notes["+1"].get_color() == notes["−0.75"].get_color()
