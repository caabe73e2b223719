"""`minillm grade`: its arguments, what it prints, its exit codes."""

import json

import minillm.cli
import pytest
from minillm.exercises import load
from minillm.grading import sandbox
from minillm.grading.checking import Verdict
from minillm.grading.classes import run, worker
from minillm.grading.nurseries import Sandbox
from minillm.grading.reports import classbook


@pytest.fixture
def graded(tmp_path, monkeypatch, capsys):
    """Runs the command in place of a shell; solutions say which checks pass."""
    def perform(task, secret, tier):
        word, *names = task.source.split()
        if word == "dies":
            raise OSError("no memory")
        checks = [check.name for check in load("rmsnorm").checks if check.name not in task.known]
        return [Verdict("rmsnorm", check, "passed" if check in names else "failed", "called\nfound") for check in checks]

    monkeypatch.setattr(run, "chosen", lambda assignment: [load("rmsnorm")])
    monkeypatch.setattr(worker, "perform", perform)
    monkeypatch.setattr(sandbox, "best", lambda: Sandbox("limits"))
    monkeypatch.setattr(classbook.Summary, "pictures", lambda self, folder: [])
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        with pytest.raises(SystemExit) as ended:
            minillm.cli.main(["grade", *map(str, arguments), *(["--workers", "0"] if "--help" not in arguments else [])])
        out, err = capsys.readouterr()
        return ended.value.code, out, err
    return command


def hand_in(folder, student, text):
    (folder / student).mkdir(parents=True, exist_ok=True)
    (folder / student / "rmsnorm.py").write_text(text)


def test_one_submission_is_told_check_by_check(graded, tmp_path):
    hand_in(tmp_path, "ada", "passes forward extremes")
    code, out, err = graded("ada")
    assert code == 0
    assert "ada: 3 of 8 points" in out and "✓ forward ✓ extremes ✗ backward ✗ reuse" in out and "grades/students/ada/report.html" in out
    assert "Sandbox: limits" in out and "1 of 1 exercises graded: 2 passed, 2 failed" in err


def test_a_class_is_told_in_numbers_with_who_is_missing_refused_or_unknown(graded, tmp_path):
    hand_in(tmp_path / "all", "ada", "passes forward")
    hand_in(tmp_path / "all", "eve", "passes forward")
    (tmp_path / "all" / "bob.zip").write_text("no zip")
    (tmp_path / "roster.csv").write_text("id,name\nada,Ada\nbob,Bob\ncyd,Cyd\n")
    code, out, _ = graded("all", "--roster", "roster.csv", "--out", "here")
    assert code == 0
    for words in ("3 students: 1 graded, 1 refused, 1 handed nothing in", "refused: Bob (bob): It can't be read",
                  "not graded: eve: there is no such student",
                  "nothing from: Cyd (cyd)", "here/class.html"):
        assert words in out
    secret = (tmp_path / "here" / "secret").read_text().strip()
    assert len(secret) == 64 and secret not in out
    everything = b"".join(path.read_bytes() for path in (tmp_path / "here").rglob("*") if path.is_file() and path.name != "secret")
    assert secret.encode() not in everything, "the secret is in a report"


def test_a_failure_of_the_grader_is_exit_code_75_and_a_sentence_and_a_later_run_mends_it(graded, tmp_path):
    hand_in(tmp_path / "all", "ada", "passes forward")
    hand_in(tmp_path / "all", "bob", "dies")
    code, out, err = graded("all")
    assert code == 75 and "The grader failed at 4 checks, which costs nobody a point" in err and "bob: rmsnorm.forward: OSError: no memory" in err
    assert (tmp_path / "grades" / "grades.csv").exists()
    hand_in(tmp_path / "all", "bob", "passes forward")
    assert graded("all")[0] == 0


@pytest.mark.parametrize("arguments, sentence", [
    ((), "Name a submission, or the folder of a class"), (("nowhere",), "There is nothing at nowhere"), (("all", "--roster", "none.csv"), "none.csv"),
    (("all", "--regrade", "rope"), "no exercise 'rope' to grade again"), (("all", "--due", "soon"), "--due: .*soon"),
    (("all", "--require-sandbox", "steel"), "no sandbox 'steel'"),
    (("--gradescope-zip", "a.zip"), "Name the class's secret with --secret FILE")])
def test_a_mistake_is_a_sentence_and_exit_code_1(arguments, sentence, graded, tmp_path):
    import re
    hand_in(tmp_path / "all", "ada", "passes forward")
    code, _, err = graded(*arguments)
    assert code == 1 and err.startswith("minillm: ") and re.search(sentence, err) and len(err.splitlines()) == 1


def test_options_reach_the_grading(graded, tmp_path):
    hand_in(tmp_path / "all", "ada", "passes forward")
    (tmp_path / "by_hand.csv").write_text("student,exercise,check,points,reason\nada,rmsnorm,reuse,1,seen\n")
    (tmp_path / "roster.csv").write_text("id,submitted\nada,2026-10-03 12:00\n")
    (tmp_path / "late.toml").write_text("percent_per_day = 50\n")
    graded("all", "--roster", "roster.csv", "--overrides", "by_hand.csv", "--late", "late.toml", "--due", "2026-10-02T12:00")
    found = json.loads((tmp_path / "grades" / "students" / "ada" / "results.json").read_text())
    assert found["extra_data"]["earned"] == 3 and found["score"] == 1.5


def test_the_gradescope_zip_is_made_without_grading(graded, tmp_path):
    code, out, _ = graded("--gradescope-zip", "a.zip", "--assignment", "4", "--secret", "secret")
    assert code == 0 and "a.zip: 1 exercises, 8 points. Upload it as the autograder" in out and not (tmp_path / "grades").exists()


def test_the_help_teaches(graded):
    code, out, _ = graded("--help")
    assert code == 0
    for words in ("minillm grade submissions --roster roster.csv", "--regrade", "journal.jsonl", "docs/teaching.md"):
        assert words in out
