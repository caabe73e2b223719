"""Every lesson: its notebook is what its source says, and it runs."""

from pathlib import Path

import pytest
from minillm.lessons import build

FOLDER = Path(__file__).parents[2] / "lessons"
EVERY = pytest.mark.parametrize("source", build.lessons(FOLDER), ids=lambda source: source.stem)


@EVERY
def test_source_and_notebook_agree_and_show_nothing_they_should_not(source, jupyter):
    build.check(source)


@pytest.mark.slow
@EVERY
def test_a_lesson_runs_from_top_to_bottom_in_four_gibibytes(source, jupyter):
    ran = build.execute(source)
    build.refuse_bad(source, ran.notebook, 0)
    assert ran.memory < 4 * 2**30, f"{source.stem} needed {ran}"


def test_no_notebook_is_without_its_source():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {source.stem for source in build.lessons(FOLDER)}
