"""The sums."""

import pytest
from minillm.exercises import load
from minillm.grading.checking import Verdict
from minillm.grading.classes.late import Late
from minillm.grading.classes.overrides import Override
from minillm.grading.classes.points import number, scored
from minillm.grading.classes.roster import Student
from minillm.grading.classes.submissions import Submission

RMSNORM = load("rmsnorm")


def result(states, overrides=(), late=None, **submission):
    checks = ("forward", "extremes", "backward", "reuse")
    verdicts = {"rmsnorm": {check: Verdict("rmsnorm", check, state) for check, state in zip(checks, states, strict=True)}}
    made = Submission(Student("s"), **{"paths": (), **submission})
    return scored(made, [RMSNORM], verdicts, {(each.student, each.exercise, each.check): each for each in overrides}, {4: late} if late else {})


P, F, E = "passed", "failed", "error"


@pytest.mark.parametrize("states, points, open_", [((P, P, P, P), 8, 0), ((F, F, F, F), 0, 0), ((P, F, P, F), 6, 0), ((P, P, E, E), 3, 5),
                                                   (("not started",) * 4, 0, 0)])
def test_a_check_earns_its_points_by_passing_and_what_the_grader_failed_at_is_open(states, points, open_):
    found = result(states)
    assert (found.points, found.possible, found.open) == (points, 8, open_)


def test_points_set_by_hand_take_the_place_of_those_earned():
    found = result((P, F, E, F), [Override("s", "rmsnorm", "backward", 4, "why"), Override("s", "rmsnorm", "forward", 0, "copied")])
    assert (found.points, found.open) == (4, 0)
    assert [check.by_hand for check in found.exercises[0].checks] == ["copied", None, "why", None]
    whole = result((P, F, E, F), [Override("s", "rmsnorm", "", 9, "a bonus")])
    assert (whole.points, whole.open, whole.exercises[0].by_hand) == (9, 0, "a bonus")


def test_being_late_takes_its_share_of_what_was_earned():
    from datetime import UTC, datetime
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    found = result((P, P, P, P), late=Late(4, moment, moment, 3, 0, 0.7))
    assert (found.earned, found.lost, found.points) == (8, pytest.approx(2.4), 5.6)
    assert result((P, P, P, P), late=Late(4, moment, moment, 3, 3, 1.0)).points == 8


def test_the_status_is_graded_open_refused_or_missing(tmp_path):
    assert result((P, P, P, P), paths=(tmp_path,)).status == "graded"
    assert result((P, P, E, P), paths=(tmp_path,)).status == "open"
    assert result((F, F, F, F), paths=(tmp_path,), refused="why").status == "refused"
    assert result((F, F, F, F)).status == "missing"


@pytest.mark.parametrize("points, text", [(7, "7"), (7.5, "7.5"), (0.1 + 0.2, "0.3"), (5.6000000001, "5.6"), (0, "0"), (123.456, "123.46")])
def test_points_are_written_as_people_write_them(points, text):
    assert number(points) == text
