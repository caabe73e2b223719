"""`minillm exercises …` as one runs it."""

import json
import subprocess
import sys

import pytest
from minillm import cli, exercises


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["exercises", *arguments])
    told = capsys.readouterr()
    return ended.value.code, told.out, told.err


def test_the_board_counts_points_and_names_what_is_next(folder, capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0 and f"Next: {exercises.names()[0]}." in out and f"░ 0 of {len(exercises.names())} exercises" in out
    rows = json.loads(run(capsys, "list", "--json")[1])
    assert [row["name"] for row in rows] == exercises.names()


def test_check_is_red_until_all_passes(folder, right, capsys):
    assert run(capsys, "check", "rmsnorm")[0] == 1
    folder.file("rmsnorm").write_text(right)
    code, out, _ = run(capsys, "check")                           # all that is begun: this one
    assert code == 0 and "8 of 8 points" in out
    assert json.loads(run(capsys, "check", "rmsnorm", "--json")[1])["rmsnorm"][0]["status"] == "passed"


def test_hints_rise_and_stay_at_the_last(folder, capsys):
    said = [run(capsys, "hint", "rmsnorm")[1] for _ in range(4)]
    assert [text.split(":")[0] for text in said] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert run(capsys, "hint", "rmsnorm", "1")[1] == said[0]
    code, _, err = run(capsys, "hint", "rmsnorm", "7")
    assert code == 1 and "from 1 to 3; you asked for number 7" in err


def test_reset_says_where_the_work_is(folder, right, capsys):
    folder.file("rmsnorm").write_text(right)
    code, out, _ = run(capsys, "reset", "rmsnorm")
    assert code == 0 and "backups/rmsnorm-" in out


def test_next_prints_the_statement_and_the_file(folder, capsys):
    code, out, _ = run(capsys, "next")
    assert code == 0 and exercises.load(exercises.names()[0]).title in out and "Write it in" in out


def test_start_makes_a_folder_and_keeps_what_is_there(folder, right, capsys, tmp_path):
    assert run(capsys, "start", str(tmp_path / "mine"))[0] == 0
    (tmp_path / "mine" / "rmsnorm.py").write_text(right)
    code, out, _ = run(capsys, "start", str(tmp_path / "mine"))
    assert code == 0 and out.startswith("0 exercises are new") and (tmp_path / "mine" / "rmsnorm.py").read_text() == right


def test_a_wrong_name_is_told_before_anything_is_checked(folder, capsys):
    code, out, err = run(capsys, "check", "rmsnorm", "nonsense")
    assert code == 1 and "There is no exercise 'nonsense'" in err and "rmsnorm:" not in out


def test_plain_pytest_runs_the_same_checks(folder, right, tmp_path):
    folder.file("rmsnorm").write_text(right.replace("g = dy * w", "g = dy"))
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "exercises/rmsnorm.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1 and "2 failed, 2 passed" in ran.stdout, ran.stdout
    assert "rmsnorm.backward" in ran.stdout and "scale forgotten in backward" in ran.stdout
