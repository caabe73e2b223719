"""What a notebook needs, and how the lessons are found and opened."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from minillm import cli, lessons
from minillm.ops import rmsnorm

ROOT = Path(__file__).parents[2]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A project's folder with two lessons, where the user stands."""
    (tmp_path / "lessons").mkdir()
    for name in ("01_second.py", "01_second.ipynb", "00_first.py", "00_first.ipynb"):
        (tmp_path / "lessons" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lessons"


def test_show_source_shows_the_very_lines_of_the_library(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", lambda bundle, raw: shown.append(bundle))
    lessons.show_source(rmsnorm.backward, rmsnorm)
    one, whole = shown
    assert one["text/plain"].startswith("def backward(dy")
    assert one["text/plain"].endswith("return dx.astype(x.dtype, copy=False), dw")
    assert one["text/markdown"] == f"`minillm/ops/rmsnorm.py`\n\n```python\n{one['text/plain']}\n```"
    assert whole["text/plain"] == (ROOT / "minillm/ops/rmsnorm.py").read_text("utf-8").rstrip()


def test_show_source_prints_where_there_is_no_ipython(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    monkeypatch.setitem(sys.modules, "IPython", None)
    lessons.show_source(rmsnorm.backward)
    assert capsys.readouterr().out.startswith("minillm/ops/rmsnorm.py\n\ndef backward(dy")


def test_the_lessons_are_found_from_the_project_from_inside_and_beside_the_package(course, monkeypatch, tmp_path):
    assert lessons.folder() == course
    monkeypatch.chdir(course)
    assert lessons.folder() == course
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(lessons, "PACKAGE", tmp_path / "minillm")
    assert lessons.folder() == course
    monkeypatch.setattr(lessons, "PACKAGE", tmp_path / "site-packages" / "minillm")
    with pytest.raises(ValueError, match="The lessons are not here: .* Clone the repository"):
        lessons.folder()


def test_the_command_opens_the_first_lesson_with_the_exercises_in_reach(course, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    found = lessons.command(course)
    assert found[:3] == [sys.executable, "-m", "jupyterlab"]
    assert found[found.index("--ServerApp.root_dir") + 1] == str(course.parent)
    assert found[found.index("--LabApp.default_url") + 1] == "/lab/tree/lessons/00_first.ipynb"
    assert found[-2] == "--LabApp.default_url"
    assert lessons.command(course, browser=False, port=9000, allow_root=True)[-4:] == ["--no-browser", "--allow-root", "--port", "9000"]


def test_a_kernel_started_from_there_finds_this_minillm_first(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    first, rest = lessons.environment()["PYTHONPATH"].split(os.pathsep)
    assert (Path(first), rest) == (ROOT, "/elsewhere")
    monkeypatch.delenv("PYTHONPATH")
    assert lessons.environment()["PYTHONPATH"] == str(ROOT)


def test_without_jupyterlab_or_notebooks_the_remedy_is_told(course, monkeypatch):
    for path in course.glob("*.ipynb"):
        path.unlink()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match="There are no notebooks in .* python -m minillm.lessons build"):
        lessons.command(course)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"JupyterLab, .* is not installed. Try: python -m pip install 'minillm\[lessons\]'"):
        lessons.command(course)


def test_minillm_lessons_becomes_jupyterlab_or_says_why_not(course, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    became = []
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: became.append((program, arguments, environment)))
    assert cli.run(["lessons", "--no-browser"]) == 0
    assert became == [(sys.executable, lessons.command(course, browser=False), lessons.environment())]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="1"):
        cli.main(["lessons"])
    assert "minillm: JupyterLab, in which the lessons are read, is not installed." in capsys.readouterr().err


def test_showing_a_source_needs_nothing_of_the_extra():
    code = "import sys, minillm.lessons; print([name for name in ('jupytext', 'nbclient', 'IPython', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_page_of_notation_is_that_of_contributing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    lessons.show_notation()
    shown = capsys.readouterr().out.strip()
    assert shown.startswith("Shapes are written") and "| `b` |" in shown and "## " not in shown
    assert shown in (ROOT / "CONTRIBUTING.md").read_text("utf-8")
