"""A file that only grows, whose torn lines lose nothing else."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.exercises import load
from minillm.grading.checking import Verdict
from minillm.grading.classes import journal as journals
from minillm.grading.classes.journal import Journal, Key, attempts, definition, hash_of


@pytest.fixture
def opened():
    """Opens journals, and closes them when the test is over."""
    made = []

    def open_one(path):
        made.append(Journal(path))
        return made[-1]

    yield open_one
    for journal in made:
        journal.close()


def key(student="s", check="forward", submission="h", defined="d"):
    return Key(student, "rmsnorm", check, submission, defined)


def passed(check="forward", status="passed", **more):
    return Verdict("rmsnorm", check, status, **more)


def test_what_is_added_is_there_for_the_next_run_with_every_field(tmp_path, opened):
    first = opened(tmp_path / "j")
    told = passed(status="failed", message="x\nü \u202e \ud800", diagnosis="sum for mean", advice="?")
    first.add([(key(), told), (key(check="reuse"), passed("reuse"))], 1.5)
    first.close()
    second = opened(tmp_path / "j")
    assert second.verdicts == {key(): told, key(check="reuse"): passed("reuse")} and not second.unread
    assert all(line.isascii() for line in (tmp_path / "j").read_text().splitlines())


def test_nothing_that_was_written_is_ever_changed(tmp_path, opened):
    seen = b""
    for i in range(4):
        journal = opened(tmp_path / "j")
        journal.add([(key(f"s{i}"), passed())])
        journal.regrade(["rmsnorm.forward"])
        journal.close()
        now = (tmp_path / "j").read_bytes()
        assert now.startswith(seen) and len(now) > len(seen)
        seen = now


def test_cut_anywhere_it_loses_what_stood_behind_the_cut_and_can_be_added_to(tmp_path, opened):
    whole = opened(tmp_path / "j")
    for i in range(5):
        whole.add([(key(f"s{i}"), passed(message="text"))])
    whole.close()
    data = (tmp_path / "j").read_bytes()
    for cut in [*random.Random(0).sample(range(len(data)), 60), 0, len(data) - 1, len(data)]:
        (tmp_path / "k").write_bytes(data[:cut])
        journal = opened(tmp_path / "k")
        complete = data[:cut].count(b"\n") + (data[cut - 1:cut] == b"}")          # only the end of the last line is missing
        assert list(journal.verdicts) == [key(f"s{i}") for i in range(complete)]
        journal.add([(key("new"), passed())])
        journal.close()
        again = opened(tmp_path / "k")
        assert len(again.verdicts) == complete + 1 and key("new") in again.verdicts
        again.close()


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_lines_that_are_none_are_passed_over(lines):
    import tempfile
    from pathlib import Path
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        good = json.dumps({"kind": "verdict", **vars(key()), "verdict": {"status": "passed"}}).encode()
        path.write_bytes(b"\n".join(line.replace(b"\n", b"") for line in lines) + b"\n" + good + b"\n")
        journal = Journal(path)
        journal.close()
        assert journal.verdicts == {key(): passed()}


def test_a_journal_of_another_release_is_read_as_far_as_it_is_understood(tmp_path, opened):
    line = {"kind": "verdict", **vars(key()), "verdict": {"status": "passed", "colour": "red"}, "more": 1}
    (tmp_path / "j").write_text(json.dumps(line) + '\n{"kind": "music"}\n{"kind": "verdict"}\n')
    journal = opened(tmp_path / "j")
    assert journal.verdicts == {key(): passed()} and journal.unread == 1


def test_a_regrade_forgets_its_checks_and_remembers_that_they_are_due(tmp_path, opened):
    journal = opened(tmp_path / "j")
    journal.add([(key(), passed()), (key(check="reuse"), passed("reuse"))])
    journal.regrade(["rmsnorm.reuse"])
    assert list(journal.verdicts) == [key()] and journal.forgotten == {key(check="reuse")}
    journal.add([(key(check="reuse"), passed("reuse"))])
    assert len(journal.verdicts) == 2 and not journal.forgotten


def test_failures_of_the_grader_are_written_and_do_not_count(tmp_path, opened):
    journal = opened(tmp_path / "j")
    journal.add([(key(), passed(status="error", message="no memory"))])
    assert not journal.verdicts and b"no memory" in (tmp_path / "j").read_bytes()


def test_what_a_students_code_prints_is_kept_in_part(tmp_path, opened):
    journal = opened(tmp_path / "j")
    journal.add([(key(), passed(printed="x" * 9000))])
    assert journal.verdicts[key()].printed == "x" * 500


def test_attempts_are_different_files_over_all_journals(tmp_path, opened):
    for name, hashes in {"j": ("a", "b", "a"), "k": ("b", "c")}.items():
        journal = opened(tmp_path / name)
        journal.add([(key(submission=each), passed()) for each in hashes])
        journal.close()
    assert attempts([tmp_path / "j", tmp_path / "k", tmp_path / "none"]) == {("s", "rmsnorm"): 3}


def test_the_definition_changes_with_what_a_verdict_depends_on_and_with_nothing_else(monkeypatch, tmp_path):
    from dataclasses import replace
    exercise = load("rmsnorm")
    same = definition(exercise, "secret")
    assert definition(replace(exercise, points={**exercise.points, "forward": 9}, statement="other", hints=("a", "b", "c")), "secret") == same
    for other in (replace(exercise, seconds=9.0), replace(exercise, megabytes=9), replace(exercise, name="other")):
        assert definition(other, "secret") != same
    assert definition(exercise, "other") != same
    grader = tmp_path / "grading"
    grader.mkdir()
    for path in journals.GRADER.glob("*.py"):
        (grader / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(journals, "GRADER", grader)
    before = definition(exercise, "secret")
    (grader / "compare.py").write_text((grader / "compare.py").read_text().replace("1e-4", "1e-3"))
    assert definition(exercise, "secret") != before


def test_a_hash_is_of_every_byte():
    assert hash_of(b"a") != hash_of(b"b") and len(hash_of(b"")) == 32


def test_only_one_process_writes(tmp_path, opened):
    opened(tmp_path / "j")
    pytest.importorskip("fcntl")
    held = opened(tmp_path / "k")
    with pytest.raises(ValueError, match="another process"):
        opened(tmp_path / "k")
    held.close()
