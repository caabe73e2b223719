"""From source to notebook: what is written, what is refused, and that the sentence says where."""

import json
import re

import pytest
from minillm.lessons import __main__ as entry
from minillm.lessons import build

pytestmark = pytest.mark.usefixtures("jupyter")
HEADER = "# ---\n# jupyter:\n#   kernelspec:\n#     display_name: Python 3\n#     language: python\n#     name: python3\n# ---\n\n"
TEXT = "# %% [markdown]\n# # A lesson\n# with $x^2$\n"
CODE = "# %%\nx = 3\nprint(f'x is {x}')\n"
SEES = "# %%\nfrom minillm.plot import figure, show\nmade, (axes,) = figure()\naxes.plot([1, 2])\nshow(made, alt='A rising line.')\n"


@pytest.fixture
def lesson(tmp_path):
    """Writes cells as lesson 01, and gives its path."""
    def write(*cells):
        source = tmp_path / "01_small.py"
        source.write_text(HEADER + "\n".join(cells), "utf-8")
        return source
    return write


def with_outputs(source, *outputs):
    """The notebook of a source, as if executed with these outputs in the first code cell."""
    notebook = build.read(source)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = list(outputs) if count == 1 else []
    return notebook


def written(source, notebook):
    source.with_suffix(".ipynb").write_text(json.dumps(notebook), "utf-8")
    return source


def output(kind, **entries):
    from nbformat.v4 import new_output
    return new_output(kind, **entries)


def test_a_built_notebook_has_the_outputs_and_passes_the_check_and_is_the_same_bytes_again(lesson):
    nbformat = pytest.importorskip("nbformat")
    source = lesson(TEXT, CODE, SEES)
    ran = build.build(source)
    first = source.with_suffix(".ipynb").read_bytes()
    build.check(source)
    cells = nbformat.reads(first.decode(), as_version=4).cells
    assert json.loads(first)["cells"][0]["source"] == ["# A lesson\n", "with $x^2$"], "a changed line should be a changed line of the file"
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code"]
    assert cells[0]["source"] == "# A lesson\nwith $x^2$"
    assert cells[1]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "x is 3\n"}]
    assert cells[2]["outputs"][0]["data"]["text/plain"] == "A rising line."
    assert [cell.get("execution_count") for cell in cells] == [None, 1, 2]
    assert 0 < ran.seconds and 2**24 < ran.memory < 2**32
    build.build(source)
    assert source.with_suffix(".ipynb").read_bytes() == first


def test_the_metadata_says_nothing_of_the_machine_or_the_hour(lesson):
    notebook = build.read(lesson(TEXT, CODE, CODE))
    assert notebook.metadata == {"kernelspec": build.KERNEL, "language_info": build.LANGUAGE}
    assert "version" not in notebook.metadata.language_info
    assert all(not cell.metadata for cell in notebook.cells)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == 3, "two equal cells need two ids"
    assert ids == [cell.id for cell in build.read(lesson(TEXT, CODE, CODE)).cells]
    assert build.read(lesson(CODE)).cells[0].id == ids[1], "a cell keeps its id wherever it stands"


def test_a_lesson_stops_at_the_first_cell_that_fails_and_says_which(lesson, tmp_path):
    left = f"# %%\nopen({str(tmp_path / 'later')!r}, 'w')\n"
    source = lesson(TEXT, CODE, "# %%\n# a comment\n1 / (x - 3)\n", left)
    with pytest.raises(ValueError, match=r"Lesson 01_small, cell 3 \(# a comment\) failed: ZeroDivisionError: division by zero"):
        build.build(source)
    assert not (tmp_path / "later").exists(), "it went on after the failure"
    assert not source.with_suffix(".ipynb").exists()


def test_a_lesson_that_ends_its_kernel_or_never_ends_is_told_too(lesson, monkeypatch):
    with pytest.raises(ValueError, match="cell 1 .* ended the kernel"):
        build.execute(lesson("# %%\nimport os\nos._exit(1)\n"))
    monkeypatch.setattr(build, "PATIENCE", 1)
    with pytest.raises(ValueError, match="cell 1 .* was still running after 1 seconds"):
        build.execute(lesson("# %%\nwhile True: pass\n"))


def test_a_lesson_runs_in_its_folder_with_this_minillm_and_this_python(lesson, tmp_path):
    import sys

    import minillm
    ran = build.execute(lesson("# %%\nimport os, sys, minillm\nprint(os.getcwd(), minillm.__file__, sys.executable, sep='|')\n"))
    folder, package, python = ran.notebook.cells[0].outputs[0].text.strip().split("|")
    assert folder == str(tmp_path.resolve())
    assert package == minillm.__file__
    assert python == sys.executable


def test_check_cells_see_fresh_stubs_and_nobodys_own_work(lesson, tmp_path, monkeypatch):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "softmax.py").write_text("def forward(x):\n    return x, ()\n")
    monkeypatch.setenv("MINILLM_EXERCISES", str(tmp_path / "exercises"))
    ran = build.execute(lesson("# %%\nfrom minillm.practice import check\ncheck('softmax')\n"))
    said = build.text_of(ran.notebook.cells[0].outputs[0])
    assert "Not started. Open exercises/softmax.py" in said
    assert not build.PATH.search(said)
    assert [path.name for path in (tmp_path / "exercises").iterdir()] == ["softmax.py"], "a record was written beside the student's work"


def test_a_changed_an_added_and_a_moved_cell_are_noticed(lesson):
    source = written(lesson(TEXT, CODE), with_outputs(lesson(TEXT, CODE)))
    build.check(source)
    for cells, sentence in [((TEXT, CODE.replace("3", "4")), r"cell 2 \(x = 4\) is not what stands in the notebook"),
                            ((TEXT, CODE, SEES), "has 3 cells and its notebook 2"),
                            ((TEXT,), "has 1 cells and its notebook 2"),
                            ((CODE, TEXT), "cell 1 .* is not what stands"),
                            ((TEXT, CODE.replace("# %%\n", "# %% [markdown]\n# ").replace("\nprint", "\n# print")), "cell 2 .* is not what")]:
        with pytest.raises(ValueError, match=sentence):
            build.check(lesson(*cells))
    source.with_suffix(".ipynb").unlink()
    with pytest.raises(ValueError, match="01_small.py has no notebook: run `python -m minillm.lessons build 01`"):
        build.check(source)


PNG = dict(data={"image/png": "iVBO", "text/plain": "A line."})


@pytest.mark.parametrize("entries, sentence", [
    (dict(kind="error", ename="ValueError", evalue="no", traceback=[]), "ended with an error in the notebook: ValueError: no"),
    (dict(kind="stream", name="stderr", text="RuntimeWarning: overflow"), "printed a warning: RuntimeWarning: overflow"),
    (dict(kind="stream", name="stdout", text="saved in /home/ada/runs"), "shows a path of the machine it was built on: /home/ada/runs"),
    (dict(kind="display_data", data={"text/markdown": "see `/tmp/x/y`"}), "shows a path of the machine it was built on: /tmp/x/y"),
    (dict(kind="display_data", **PNG), "has a picture without alt text"),
])
def test_what_no_lesson_may_show_is_refused(entries, sentence, lesson):
    source = lesson(CODE)
    notebook = with_outputs(source, output(entries.pop("kind"), **entries))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        build.refuse_bad(source, notebook, 1000)
    with pytest.raises(ValueError, match="Lesson 01_small, cell 1"):
        build.check(written(source, notebook))


def test_a_sound_notebook_is_not_refused(lesson):
    source = lesson(CODE)
    sound = [output("stream", name="stdout", text="1/2 of runs/tales, a/home/b"),
             output("display_data", **PNG, metadata={"image/png": {"alt": "A line."}})]
    build.refuse_bad(source, with_outputs(source, *sound), build.LARGEST)


def test_a_large_notebook_and_one_not_run_in_order_are_refused(lesson):
    source = lesson(CODE, SEES)
    notebook = with_outputs(source)
    with pytest.raises(ValueError, match="has 400,001 bytes, and 400,000 is the limit"):
        build.refuse_bad(source, notebook, 400_001)
    notebook.cells[1].execution_count = 3
    with pytest.raises(ValueError, match="cell 2 .* wasn't executed in its order"):
        build.refuse_bad(source, notebook, 1000)


def test_other_words_are_told_and_other_numbers_are_not(lesson):
    source = lesson(CODE, SEES)
    written(source, with_outputs(source, output("stream", name="stdout", text="took 1.25 s, 3e-5 off")))
    same = with_outputs(source, output("stream", name="stdout", text="took 0.9 s, 2.1e-7 off"))
    assert build.changed_cells(source, same) == []
    other = with_outputs(source, output("stream", name="stdout", text="took 0.9 s, 2.1e-7 above"))
    assert build.changed_cells(source, other) == ["Lesson 01_small, cell 1 (x = 3) prints something else now than its notebook shows"]


def test_lessons_are_found_by_number(tmp_path):
    for name in ("00_first.py", "01_second.py", "10_third.py", "notes.py", "02_no_lesson.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in build.lessons(tmp_path)] == ["00_first.py", "01_second.py", "10_third.py"]
    assert [path.name for path in build.lessons(tmp_path, ["10", "1"])] == ["10_third.py", "01_second.py"]
    with pytest.raises(ValueError, match="There is no lesson 07 .* there are 00, 01, 10"):
        build.lessons(tmp_path, ["7"])


def test_the_command_builds_what_has_changed_and_only_that(lesson, monkeypatch, capsys):
    source = lesson(TEXT, CODE)
    built = []
    monkeypatch.setattr(build, "build", lambda each: built.append(each.name) or written(each, with_outputs(each)))
    where = ["--folder", str(source.parent)]
    assert entry.main(["build", *where]) == 0 and built == ["01_small.py"]
    assert entry.main(["build", "1", *where]) == 0 and len(built) == 1
    assert "01_small: up to date" in capsys.readouterr().out
    assert entry.main(["build", "--all", "1", *where]) == 0 and len(built) == 2
    assert entry.main(["check", *where]) == 0
    assert "01_small: source and notebook agree\n" in capsys.readouterr().out
    lesson(TEXT)
    assert entry.main(["check", *where]) == 1
    assert "python -m minillm.lessons build 01" in capsys.readouterr().err
    assert entry.main(["build", *where]) == 0 and len(built) == 3


def test_without_jupytext_the_remedy_is_told(lesson, monkeypatch):
    import sys
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(ValueError, match=r"jupytext, .* is not installed. Try: python -m pip install 'minillm\[lessons\]'"):
        build.read(lesson(CODE))
