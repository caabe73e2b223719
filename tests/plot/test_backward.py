"""The pictures of the lesson on gradients by hand show the numbers that they are given."""

import numpy as np
from matplotlib.colors import to_hex
from minillm.plot import COLOURS, backward


def test_every_matrix_of_a_product_is_drawn_to_scale_with_its_shape():
    made = backward.matrix_products(4, 3, 2)
    sizes = [[(patch.get_height(), patch.get_width()) for patch in axes.patches] for axes in made.axes]
    assert sizes == [[(4, 3), (3, 2), (4, 2)], [(4, 2), (2, 3), (4, 3)], [(3, 4), (4, 2), (3, 2)]]
    for axes, shapes in zip(made.axes, sizes, strict=True):
        said = [text.get_text() for text in axes.texts if "×" in text.get_text()]
        assert said == [f"{rows} × {columns}" for rows, columns in shapes]
        right = max(patch.get_x() + patch.get_width() for patch in axes.patches)
        assert right < axes.get_xlim()[1], "a matrix reaches beyond the picture"


def test_each_way_to_measure_has_its_curve_and_the_chosen_step_is_marked():
    made = backward.step_sizes([1e-3, 1e-2], {"a": [1e-6, 1e-4], "b": [1e-2, 1e-1]}, 1e-5)
    (axes,) = made.axes
    a, b, mark = axes.lines
    assert [*a.get_ydata()] == [1e-6, 1e-4] and [*b.get_ydata()] == [1e-2, 1e-1]
    assert [*mark.get_xdata()] == [1e-5, 1e-5]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_the_jacobian_stands_beside_its_probabilities():
    y = np.array([0.7, 0.3])
    made = backward.jacobian(y, np.diag(y) - np.outer(y, y))
    bars, table = made.axes[:2]
    assert [bar.get_height() for bar in bars.patches] == [0.7, 0.3]
    assert [text.get_text() for text in table.texts] == ["0.21", "-0.21", "-0.21", "0.21"]


def test_claims_stand_over_what_was_measured_in_the_axes_of_their_upstream():
    right, measured = np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]])
    made = backward.claimed_and_measured({"ones": {"good": (right, measured)}, "random": {"good": (right, measured), "bad": (-right, measured)}})
    assert [axes.get_title() for axes in made.axes] == ["ones", "random"]
    diagonal, good, bad = made.axes[1].lines
    assert [*good.get_xdata()] == [1.0, 2.5] and [*good.get_ydata()] == [1.0, 2.0] and [*bad.get_ydata()] == [-1.0, -2.0]
    assert made.axes[0].get_xlim() == made.axes[1].get_xlim()


def test_the_target_has_a_colour_of_its_own():
    made = backward.surprise([0.2, 0.8], [-0.8, 0.8], 0, ["a", "b"])
    for axes, heights in zip(made.axes, ([0.2, 0.8], [-0.8, 0.8]), strict=True):
        bars = axes.patches
        assert [bar.get_height() for bar in bars] == heights
        assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == [COLOURS[5], COLOURS[0]], "orange is the target"
        assert "the target, a" in axes.get_xlabel()


def test_descent_shows_every_run_beside_the_counted_model():
    made = backward.descent({"slow": [3.0, 2.0, 1.5]}, 1.0, [[0.5, 0.25]], {"slow": [[0.4, 0.3]]})
    losses, shares = made.axes
    assert [*losses.lines[0].get_xdata()] == [1, 2, 3] and [*losses.lines[0].get_ydata()] == [3.0, 2.0, 1.5]
    assert [*losses.lines[1].get_ydata()] == [1.0, 1.0]
    assert [*shares.lines[1].get_xdata()] == [0.5, 0.25] and [*shares.lines[1].get_ydata()] == [0.4, 0.3]
