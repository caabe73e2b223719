"""What is graded, what is not graded twice, and what comes of it."""

import pytest
from minillm.exercises import load
from minillm.grading.classes import journal, run, worker

ALL = ["forward", "extremes", "backward", "reuse"]


def lines(classroom):
    return [line for line in journal.lines(classroom.out / "journal.jsonl") if line]


def test_points_are_those_of_the_checks_that_pass(classroom):
    classroom.hand_in("ada", "passes forward extremes backward reuse")
    classroom.hand_in("bob", "passes forward extremes")
    classroom.hand_in("cyd", "passes")
    assert classroom.points() == {"ada": 8, "bob": 3, "cyd": 0}


def test_nothing_is_graded_twice(classroom):
    classroom.hand_in("ada", "passes forward")
    first = classroom.points()
    assert classroom.points() == first
    assert classroom.graded == [("ada", ALL)]


def test_a_changed_submission_is_graded_again_and_the_others_are_not(classroom):
    classroom.hand_in("ada", "passes forward")
    classroom.hand_in("bob", "passes forward")
    classroom.grade()
    classroom.hand_in("ada", "passes forward extremes")
    assert classroom.points() == {"ada": 3, "bob": 2}
    assert [student for student, _ in classroom.graded] == ["ada", "bob", "ada"]
    classroom.hand_in("ada", "passes forward")                   # the first version again: its verdicts are still known
    assert classroom.points() == {"ada": 2, "bob": 2} and len(classroom.graded) == 3


def test_a_changed_exercise_is_graded_again_for_all(classroom, monkeypatch):
    classroom.hand_in("ada", "passes forward")
    classroom.grade()
    monkeypatch.setattr(journal, "definition", lambda exercise, secret="": "another")
    classroom.grade()
    assert len(classroom.graded) == 2


def test_another_secret_draws_other_inputs_so_all_is_graded_again(classroom, tmp_path):
    classroom.hand_in("ada", "passes forward")
    classroom.grade()
    classroom.grade(secret=tmp_path / "another")
    assert len(classroom.graded) == 2


@pytest.mark.parametrize("keep", range(5))
def test_a_run_that_was_killed_goes_on_where_it_stopped(classroom, keep):
    """Whatever the journal holds of an exercise when the power goes, the rest is graded, and the result is the same."""
    classroom.hand_in("ada", "passes forward backward")
    classroom.hand_in("bob", "passes forward")
    whole = classroom.points()
    path = classroom.out / "journal.jsonl"
    text = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join(text[:1 + keep]) + text[1 + keep][:40])             # the line `begin`, some verdicts, and a torn one
    classroom.graded.clear()
    assert classroom.points() == whole
    assert classroom.graded == [("ada", ALL[keep:])] * (keep < 4) + [("bob", ALL)]
    keys = [(line["student"], line["check"]) for line in lines(classroom) if line["kind"] == "verdict"]
    assert len(keys) == len(set(keys)) == 8


def test_what_was_graded_is_in_the_journal_before_the_next_is_graded(classroom, monkeypatch):
    for student in ("ada", "bob", "cyd"):
        classroom.hand_in(student, "passes forward")
    perform = classroom.perform

    def pulled_plug(task, secret, tier):
        if task.student == "cyd":
            raise KeyboardInterrupt
        return perform(task, secret, tier)

    monkeypatch.setattr(worker, "perform", pulled_plug)
    with pytest.raises(KeyboardInterrupt):
        classroom.grade()
    monkeypatch.setattr(worker, "perform", perform)
    classroom.grade()
    assert [student for student, _ in classroom.graded] == ["ada", "bob", "cyd"]


# --- again ---------------------------------------------------------------------------------------------------------------------------

def test_a_regrade_takes_the_check_and_those_that_build_on_it_for_all(classroom):
    for student in ("ada", "bob"):
        classroom.hand_in(student, "passes forward")
    classroom.grade()
    classroom.graded.clear()
    assert classroom.points(regrade=("rmsnorm.backward",)) == {"ada": 2, "bob": 2}
    assert classroom.graded == [("ada", ["backward", "reuse"]), ("bob", ["backward", "reuse"])]
    classroom.graded.clear()
    classroom.grade(regrade=("rmsnorm",))
    assert classroom.graded == [("ada", ALL), ("bob", ALL)]


def test_a_regrade_that_was_interrupted_goes_on_and_does_not_begin_again(classroom, monkeypatch):
    for student in ("ada", "bob"):
        classroom.hand_in(student, "passes forward")
    classroom.grade()
    classroom.graded.clear()
    perform = classroom.perform

    def stopped(task, secret, tier):
        if task.student == "bob":
            raise KeyboardInterrupt
        return perform(task, secret, tier)

    monkeypatch.setattr(worker, "perform", stopped)
    with pytest.raises(KeyboardInterrupt):
        classroom.grade(regrade=("rmsnorm.reuse",))
    monkeypatch.setattr(worker, "perform", perform)
    classroom.grade(regrade=("rmsnorm.reuse",))
    assert classroom.graded == [("ada", ["reuse"]), ("bob", ["reuse"])]
    classroom.grade(regrade=("rmsnorm.reuse",))                   # that one was complete: this is a new one
    assert len(classroom.graded) == 4


def test_a_new_submission_is_no_interrupted_regrade(classroom):
    classroom.hand_in("ada", "passes forward")
    classroom.grade()
    classroom.grade(regrade=("rmsnorm.reuse",))
    classroom.hand_in("bob", "passes forward")
    classroom.graded.clear()
    classroom.grade(regrade=("rmsnorm.reuse",))
    assert classroom.graded == [("ada", ["reuse"]), ("bob", ALL)]


@pytest.mark.parametrize("asked, sentence", [("rope", "no exercise 'rope' to grade again; there are rmsnorm"),
                                             ("rmsnorm.speed", "no check 'speed'; it has forward")])
def test_a_regrade_of_what_does_not_exist_is_refused(classroom, asked, sentence):
    classroom.hand_in("ada", "passes forward")
    with pytest.raises(ValueError, match=sentence):
        classroom.grade(regrade=(asked,))


# --- the grader's own failures ---------------------------------------------------------------------------------------------------------

def test_a_failure_of_the_grader_is_tried_once_more_and_then_open_not_lost(classroom):
    classroom.hand_in("ada", "dies")
    graded = classroom.grade()
    [result] = graded.results
    assert len(classroom.graded) == 2
    assert (result.status, result.points, result.open) == ("open", 0, 8)
    assert "OSError: no memory" in graded.failures["ada", "rmsnorm", "forward"]


def test_only_the_check_that_failed_is_tried_again_and_it_stays_open(classroom):
    classroom.hand_in("ada", "breaks backward")
    [result] = classroom.grade().results
    assert classroom.graded == [("ada", ALL), ("ada", ["backward"])]
    assert (result.points, result.open) == (4, 4)


def test_a_failure_does_not_count_in_the_next_run(classroom):
    classroom.hand_in("ada", "breaks backward")
    classroom.grade()
    classroom.graded.clear()
    classroom.grade()
    assert classroom.graded == [("ada", ["backward"])] * 2
    assert any(line["verdict"]["status"] == "error" for line in lines(classroom) if line["kind"] == "verdict"), "it should be on record"


# --- what can't be run, and what people decide ------------------------------------------------------------------------------------------

def test_what_was_not_handed_in_or_is_no_text_is_not_run(classroom):
    (classroom.folder / "ada").mkdir()
    (classroom.folder / "bob").mkdir()
    (classroom.folder / "bob" / "rmsnorm.py").write_bytes(b"\xff\xfe\x00")
    ada, bob = classroom.grade().results
    assert classroom.graded == []
    assert [check.verdict.message for check in ada.exercises[0].checks] == ["rmsnorm.py was not handed in."] * 4
    assert {check.verdict.status for check in bob.exercises[0].checks} == {"failed"} and "UTF-8" in bob.exercises[0].checks[0].verdict.message


def test_a_byte_order_mark_is_no_part_of_the_source(classroom, monkeypatch):
    classroom.hand_in("ada", "\ufeffpasses forward")
    assert classroom.points() == {"ada": 2}
    classroom.grade()
    assert len(classroom.graded) == 1


def test_overrides_survive_a_regrade_and_late_days_take_their_share(classroom):
    classroom.hand_in("ada", "passes forward")
    classroom.out.mkdir()
    (classroom.out / "overrides.csv").write_text("student,exercise,check,points,reason\nada,rmsnorm,backward,3.5,argued well\n")
    roster = classroom.table("roster.csv", "id,submitted\nada,2026-10-02 12:00\n")
    settings = dict(roster=roster, due="2026-10-01 12:00")
    for regrade in ((), ("rmsnorm",)):
        [result] = classroom.grade(regrade=regrade, **settings).results
        assert result.earned == 5.5 and result.points == pytest.approx(4.95)
        assert [check.by_hand for check in result.exercises[0].checks] == [None, None, "argued well", None]


def test_two_gradings_into_one_folder_are_refused(classroom):
    classroom.hand_in("ada", "passes forward")
    classroom.out.mkdir()
    held = journal.Journal(classroom.out / "journal.jsonl")
    with pytest.raises(ValueError, match="is being graded into by another process"):
        classroom.grade()
    held.close()
    classroom.grade()


def test_an_unknown_assignment_is_refused():
    with pytest.raises(ValueError, match="no assignment 99; there are .*4"):
        run.chosen(99)
    assert load("rmsnorm") in run.chosen(4)


def test_the_sandbox_of_a_run_is_on_record(classroom):
    classroom.hand_in("ada", "passes forward")
    classroom.grade()
    [begin] = [line for line in lines(classroom) if line["kind"] == "begin"]
    assert (begin["tasks"], begin["sandbox"]) == (1, "limits")


def test_less_than_the_sandbox_that_is_required_is_refused_before_anything_is_run(classroom):
    classroom.hand_in("ada", "passes forward")
    with pytest.raises(ValueError, match="offers the sandbox 'limits' .* and 'unshare' is required"):
        classroom.grade(sandbox="unshare")
    with pytest.raises(ValueError, match="no sandbox 'steel'; there are unshare"):
        classroom.grade(sandbox="steel")
    assert not classroom.graded
    assert classroom.grade(sandbox="limits").notes == ["Sandbox: limits (a filter of system calls and limits; no namespaces and no other user)."]
