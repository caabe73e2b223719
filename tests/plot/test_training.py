"""Two runs in one picture: both curves, and their difference."""

import numpy as np
import pytest
from minillm.plot import training as plot


@pytest.fixture
def drawn(monkeypatch):
    def draw(mine, reference, own=("rmsnorm",)):
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(plot, "save", lambda made, path, **options: kept.append(made))
            plot.two_losses(mine, reference, own, "")
        return kept[0].axes
    return draw


def test_both_curves_and_their_difference_are_drawn(drawn):
    left, right = drawn([3.0, 2.0, 1.5], [3.0, 2.25, 1.0])
    assert [line.get_label() for line in left.lines] == ["the reference", "with your rmsnorm"]
    assert [*left.lines[0].get_ydata()] == [3.0, 2.25, 1.0] and [*left.lines[1].get_ydata()] == [3.0, 2.0, 1.5]
    np.testing.assert_allclose(right.lines[0].get_ydata(), [plot.LEAST, 0.25, 0.5])
    assert right.get_yscale() == "log" and "nats" in left.get_ylabel() and right.texts[0].get_text() == "at most 0.5"


def test_equal_curves_have_no_difference(drawn):
    assert "no difference" in drawn([2.0, 1.0], [2.0, 1.0])[1].texts[0].get_text()


def test_many_operations_stand_in_several_lines():
    listed = plot.listed(["cross_entropy", "embedding", "linear", "attention", "layernorm", "rmsnorm", "swiglu"])
    assert max(map(len, listed.splitlines())) <= 60 and listed.replace("\n", "").split(", ")[-1] == "swiglu" and len(listed.splitlines()) == 2
