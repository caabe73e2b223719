"""A matrix as a picture: every number has its cell, its colour and its digits."""

import numpy as np
import pytest
from minillm import plot
from minillm.plot.matrices import matrix


@pytest.fixture
def axes():
    _, (made,) = plot.figure()
    return made


def test_cells_hold_the_numbers_in_their_places(axes):
    matrix(axes, [[0.25, 0.75, 0.0], [1.0, 0.125, 0.5]], "P", ["a", "b"], ["x", "y", "z"], digits=2)
    written = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "0.25", (0, 1): "0.75", (0, 2): "0.00", (1, 0): "1.00", (1, 1): "0.12", (1, 2): "0.50"}
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.25, 0.75, 0.0], [1.0, 0.125, 0.5]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y", "z"]
    assert axes.get_title() == "P"


def test_signed_colours_are_centred_on_zero_and_shares_begin_at_zero(axes):
    drawn = matrix(axes, [[-0.5, 2.0]], signed=True)
    assert drawn.get_clim() == (-2.0, 2.0)
    assert matrix(axes, [[0.25, 0.5]]).get_clim() == (0.0, 0.5)
    assert matrix(axes, [[0.25, 0.5]], limit=1.0).get_clim() == (0.0, 1.0)


def test_a_number_stands_in_a_colour_that_its_cell_does_not_hide(axes):
    matrix(axes, [[0.0, 1.0]], digits=1)
    assert [text.get_color() for text in axes.texts] == ["white", "black"], "dark cells are those near 0"


def test_what_rounds_to_zero_has_no_sign(axes):
    matrix(axes, [[-0.001, 1.0]], signed=True, digits=2)
    assert axes.texts[0].get_text() == "0.00"


def test_a_matrix_of_zeros_can_be_drawn(axes):
    assert matrix(axes, np.zeros((2, 2))).get_clim()[1] > 0
