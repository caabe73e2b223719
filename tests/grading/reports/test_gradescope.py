"""Gradescope: results.json as its documentation has it, and a zip that runs in an empty folder."""

import json
import os
import stat
import subprocess
import sys
import zipfile

import pytest
from minillm.grading.reports import autograder, gradescope

# The format, field by field: name → (types, may it be left out).
TOP = {"score": (int, float), "execution_time": (int, float), "output": str, "output_format": str, "test_output_format": str, "test_name_format": str,
       "visibility": str, "stdout_visibility": str, "extra_data": dict, "tests": list, "leaderboard": list}
TEST = {"score": (int, float), "max_score": (int, float), "status": str, "name": str, "name_format": str, "number": str, "output": str,
        "output_format": str,
        "tags": list, "visibility": str, "extra_data": dict}
VALUES = {"status": {"passed", "failed"}, "visibility": {"visible", "hidden", "after_due_date", "after_published"},
          "stdout_visibility": {"visible", "hidden"}}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}


def hold_to_the_format(found):
    for fields, each in [(TOP, found), *((TEST, test) for test in found["tests"])]:
        for name, value in each.items():
            assert isinstance(value, fields[name]) and not isinstance(value, bool), name
            assert value in VALUES.get(name, {value} if not isinstance(value, dict | list) else [value]), name
            assert not name.endswith("_format") or value in FORMATS, name
    json.dumps(found).encode("utf-8")


@pytest.mark.parametrize("states", ["passed", "wrong", "stub"])
def test_the_results_have_the_documented_form_and_every_field(states, result):
    found = gradescope.results(result(states=states), 12.4, leaderboard=True)
    hold_to_the_format(found)
    assert found.keys() == TOP.keys() and all(test.keys() == TEST.keys() for test in found["tests"])
    assert [test["number"] for test in found["tests"]] == ["1.1", "1.2", "1.3", "1.4"] and found["execution_time"] == 12
    assert found["leaderboard"][0] == {"name": "Points", "value": found["score"], "order": "desc"}


def test_the_sum_is_that_of_the_tests_unless_someone_was_late(result):
    for late in (None, 2):
        found = gradescope.results(result(late=late))
        assert found["score"] == pytest.approx(sum(test["score"] for test in found["tests"]) * (1 if late is None else 0.8))
    assert "taken off" in found["output"] and sum(test["max_score"] for test in found["tests"]) == 8


def test_a_failed_test_says_what_was_called_what_differs_and_what_it_may_be(result):
    [failed] = [test for test in gradescope.results(result())["tests"] if test["extra_data"]["status"] == "failed"]
    for words in ("It checks that backward returns dx and dw.", "Called: forward(x float64 (3, 5))", "y[0] is 1 and should be 2",
                  "Likely: sum for mean. Is it the mean?"):
        assert words in failed["output"]


def test_there_is_no_leaderboard_unless_it_is_asked_for_and_visibility_is_as_told(result):
    found = gradescope.results(result(), visibility="after_due_date")
    assert "leaderboard" not in found and {test["visibility"] for test in found["tests"]} == {"after_due_date"} == {found["visibility"]}
    with pytest.raises(ValueError, match="'secret' is none that Gradescope knows: visible"):
        gradescope.results(result(), visibility="secret")


def test_what_a_student_wrote_is_plain_text(hostile):
    found = gradescope.results(hostile)
    hold_to_the_format(found)
    assert {test["output_format"] for test in found["tests"]} == {"text"} and "<script" not in found["output"]


# --- the zip -------------------------------------------------------------------------------------------------------------------------

GOOD = """import numpy as np

def forward(x, w, eps=1e-5):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x * r * w, (x, w, r)

def backward(dy, cache):
    x, w, r = cache
    return r * dy * w, (dy * x * r).reshape(-1, w.size).sum(0)
"""
METADATA = {"id": 1, "created_at": "2026-10-03T10:00:00.000000-07:00",
            "assignment": {"due_date": "2026-10-01T23:00:00.000000-07:00", "late_due_date": None, "title": "4"},
            "users": [{"email": "b@example.org", "id": 12, "name": "Bob"}, {"email": "a@example.org", "id": 7, "name": "Ada"}],
            "previous_submissions": []}


@pytest.fixture
def place(tmp_path):
    """The zip, unpacked as Gradescope does it, with a submission."""
    gradescope.make(tmp_path / "a.zip", 4, tmp_path / "secret")
    root = tmp_path / "autograder"
    for folder in ("source", "submission", "results"):
        (root / folder).mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(root / "source")
    (root / "run_autograder").write_bytes((root / "source" / "run_autograder").read_bytes())
    (root / "run_autograder").chmod(0o755)
    (root / "submission" / "rmsnorm.py").write_text(GOOD)
    (root / "submission_metadata.json").write_text(json.dumps(METADATA))
    return root


def run_autograder(root):
    environment = {"PATH": os.environ["PATH"], "MINILLM_AUTOGRADER": str(root), "MINILLM_PYTHON": sys.executable}
    return subprocess.run([str(root / "run_autograder")], cwd="/", env=environment, capture_output=True, text=True)


def test_the_zip_runs_in_an_empty_folder_with_the_minillm_that_it_carries(place):
    done = run_autograder(place)
    assert done.returncode == 0, done.stderr
    found = json.loads((place / "results" / "results.json").read_text())
    hold_to_the_format(found)
    states = {test["extra_data"]["check"]: test["status"] for test in found["tests"] if test["extra_data"]["exercise"] == "rmsnorm"}
    assert states == {"forward": "passed", "extremes": "passed", "backward": "failed", "reuse": "failed"}
    assert found["score"] == 3 and found["extra_data"]["student"] == "12+7" and "r taken as a constant" in json.dumps(found, ensure_ascii=False)
    assert {path.name for path in place.iterdir()} == {"source", "submission", "results", "run_autograder",
                                                       "submission_metadata.json"}, "it leaves something behind"


def test_the_zip_is_for_its_owner_and_its_scripts_can_be_run(tmp_path):
    told = gradescope.make(tmp_path / "a.zip", 4, tmp_path / "secret")
    secret = (tmp_path / "secret").read_text().strip()
    assert stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) == 0o600 and secret not in told
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names, modes = archive.namelist(), {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        assert archive.read("secret").decode().strip() == secret
        assert "numpy>=2.1.2" in archive.read("requirements.txt").decode().split() and "pytest" not in archive.read("requirements.txt").decode()
    assert (modes["setup.sh"], modes["run_autograder"], modes["secret"]) == (0o755, 0o755, 0o600)
    assert "minillm/exercises/rmsnorm.toml" in names and not [name for name in names if "__pycache__" in name]
    assert subprocess.run(["bash", "-n"], input=gradescope.SETUP + gradescope.RUN, text=True).returncode == 0


def test_a_deadline_counts_where_the_teacher_gave_a_policy(tmp_path, place, monkeypatch):
    (place / "submission" / "rmsnorm.py").unlink()               # nothing to run: this is about the sums
    assert autograder.grade(place) == 0
    (place / "source" / "late.toml").write_text("percent_per_day = 25\n")
    assert autograder.grade(place) == 0
    assert "2 days late: 50% of the points are taken off" in json.loads((place / "results" / "results.json").read_text())["output"].replace("\\", "")


def test_if_the_grader_fails_there_are_no_results_and_a_sentence(place, monkeypatch, capsys):
    from minillm.grading.classes import worker

    def broken(task, secret, tier):
        raise OSError("no memory")
    monkeypatch.setattr(worker, "perform", broken)
    monkeypatch.setattr(autograder, "WORKERS", 0)
    assert autograder.grade(place) == 1
    assert not (place / "results" / "results.json").exists()
    assert "costs nobody a point" in capsys.readouterr().err


def test_without_metadata_the_submission_is_graded_all_the_same(tmp_path):
    student, due = autograder.who(tmp_path / "none.json")
    assert student.id == "submission" and due is None


def test_a_mistake_in_what_the_zip_is_made_of_is_told_before_it_is_made(tmp_path):
    (tmp_path / "late.toml").write_text("penalty = 3")
    for options, sentence in ((dict(assignment=99, secret=tmp_path / "s"), "no assignment 99"),
                              (dict(assignment=4, secret=None), "Name the class's secret"),
                              (dict(assignment=4, secret=tmp_path / "s", late=tmp_path / "late.toml"), "unknown fields: penalty"),
                              (dict(assignment=4, secret=tmp_path / "s", sandbox="steel"), "no sandbox 'steel'")):
        with pytest.raises(ValueError, match=sentence):
            gradescope.make(tmp_path / "a.zip", **options)
        assert not (tmp_path / "a.zip").exists()
