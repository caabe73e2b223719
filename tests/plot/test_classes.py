"""Pictures of a class: every number is where it belongs."""

import matplotlib.image
import pytest
from minillm.plot import classes

STATES = {"rope": {"forward": {"passed": 3, "failed": 1}, "reuse": {"not reached": 2, "not started": 2}}, "rmsnorm": {"forward": {"passed": 4}}}


@pytest.fixture
def drawn(monkeypatch):
    """The axes of a picture, and its figure."""
    def draw(function, *arguments):
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(classes, "save", lambda made, path: kept.append(made))
            function(*arguments, "")
        return kept[0].axes[0], kept[0]
    return draw


def widths(axes):
    """{height: width of each bar that can be seen}"""
    found = {}
    for bar in axes.patches:
        if bar.get_width():
            found.setdefault(round(bar.get_y() + bar.get_height() / 2, 3), []).append(bar.get_width())
    return found


def test_each_check_has_a_bar_of_a_hundred_percent_and_the_share_that_passed(drawn):
    axes, made = drawn(classes.checks, STATES)
    assert list(widths(axes).values()) == [[75, 25], [50, 50], [100]]
    assert [text.get_text() for text in axes.texts] == ["75 %", "0 %", "100 %", "rope", "rmsnorm"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["forward", "reuse", "forward"]
    assert {text.get_text() for text in made.legends[0].get_texts()} == {"passed", "failed", "not reached", "not started"}


def test_points_are_counted_from_none_to_all(drawn):
    axes, _ = drawn(classes.points, [0, 0, 3, 8, 8, 8], 8.0)
    counts = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
    assert [counts[points] for points in range(9)] == [2, 0, 0, 1, 0, 0, 0, 0, 3]
    assert axes.get_xlabel() == "points (of 8)"
    axes, _ = drawn(classes.points, [9.5, 40], 35.0)                      # a bonus
    assert sum(bar.get_height() for bar in axes.patches) == 2


def test_mistakes_are_in_the_order_of_their_frequency(drawn):
    axes, _ = drawn(classes.mistakes, {f"m{i:02d}": i for i in range(1, 30)})
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"m{i:02d}" for i in range(29, 14, -1)]
    assert [bar.get_width() for bar in axes.patches] == list(range(29, 14, -1))


def test_attempts_are_a_mean_and_a_most(drawn):
    axes, _ = drawn(classes.attempts, {"rope": [1, 2, 6], "rmsnorm": [1]})
    assert [bar.get_width() for bar in axes.patches] == [3, 1]
    assert [*axes.lines[0].get_xdata()] == [6, 1]


def test_the_pictures_are_written(tmp_path):
    classes.checks(STATES, tmp_path / "checks.png")
    assert matplotlib.image.imread(tmp_path / "checks.png").shape[1] > 1000
