"""Pictures: what is drawn is there, in the style of all of them, and nothing is left open."""

import sys

import matplotlib.image
import numpy as np
import pytest
from minillm import plot
from minillm.training.bands import Band

LINES = [{"step": i, "loss": 6 * 0.95**i + 0.5} | ({"validation": 6 * 0.95**i + 0.6} if i % 20 == 19 else {}) for i in range(60)]


@pytest.fixture
def drawn(monkeypatch):
    """Draws losses and gives the axes."""
    def draw(lines, band=None, floor=None):
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(plot, "save", lambda made, path, **options: kept.append(made))
            plot.losses(lines, "", band, floor)
        return kept[0].axes[0]
    return draw


def test_the_curve_has_every_loss_and_their_mean_over_twenty_steps(drawn):
    axes = drawn(LINES)
    single, mean, validation = axes.lines
    assert [*single.get_xdata()] == [*range(1, 61)]
    np.testing.assert_allclose(single.get_ydata(), [line["loss"] for line in LINES])
    np.testing.assert_allclose(mean.get_ydata()[-1], np.mean([line["loss"] for line in LINES[-20:]]))
    np.testing.assert_allclose(mean.get_ydata()[2], np.mean([line["loss"] for line in LINES[:3]]))
    assert [*validation.get_xdata()] == [20, 40, 60]
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "loss (nats per token)"


def test_a_band_and_the_least_possible_loss_are_drawn_and_named(drawn):
    axes = drawn(LINES, Band([20, 40, 60], [2.0, 1.0, 0.5], [3.0, 2.0, 1.0], 5), floor=0.4)
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "where 5 other runs lay" in named and "the least possible: the corpus's entropy" in named
    assert [*axes.lines[-1].get_ydata()] == [0.4, 0.4]
    corners = axes.collections[0].get_paths()[0].vertices
    assert {(20.0, 2.0), (20.0, 3.0), (60.0, 0.5), (60.0, 1.0)} <= {tuple(corner) for corner in corners.tolist()}


@pytest.mark.parametrize("count", [1, 2, 20, 21, 60])
def test_what_matters_of_a_run_of_any_length_is_in_the_picture(drawn, count):
    axes = drawn(LINES[:count])
    low, high = axes.get_ylim()
    assert low < LINES[count - 1]["loss"] < high


def test_a_picture_is_a_png_of_some_size_and_no_window_is_left_open(tmp_path):
    plot.losses(LINES, tmp_path / "loss.png")
    image = matplotlib.image.imread(tmp_path / "loss.png")
    assert image.shape[0] >= 500 and image.shape[1] >= 900 and image[..., :3].std() > 0.02
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_show_puts_a_png_with_alt_text_into_a_notebook(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", lambda bundle, metadata=None, raw=False: shown.append((bundle, metadata)))
    made, (axes,) = plot.figure()
    axes.plot(range(50))
    plot.show(made, alt="A line that rises, y < 50.")
    plot.show(made, alt="A line that rises, y < 50.")
    (bundle, metadata), (words, _), again, _ = shown
    assert bundle["image/png"].startswith(b"\x89PNG") and len(bundle["image/png"]) < 40_000
    assert b"Software" not in bundle["image/png"], "the version of matplotlib would change every picture"
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == "A line that rises, y < 50."
    assert metadata["image/png"]["width"] == 640
    assert words["text/html"] == "<details><summary>The picture in words</summary>A line that rises, y &lt; 50.</details>", "JupyterLab shows no alt text"
    assert again[0] == bundle
    with pytest.raises(ValueError, match="a sentence that says what is to be seen"):
        plot.show(made, alt=" ")
