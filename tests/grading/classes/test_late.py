"""Deadlines, free days and penalties."""

from datetime import UTC, datetime, timedelta

import pytest
from minillm.grading.classes.late import Policy, lateness, read
from minillm.grading.classes.roster import Student

DUE = datetime(2026, 10, 1, 12, tzinfo=UTC)


def late(hours, policy=None, assignments=(1,), **student):
    return lateness(policy or Policy({None: DUE}), Student("s", **student), DUE + timedelta(hours=hours), list(assignments))


@pytest.mark.parametrize("hours, days", [(-5, None), (0, None), (0.01, 1), (23.9, 1), (24, 1), (24.1, 2), (72, 3)])
def test_a_day_counts_when_it_has_begun(hours, days):
    found = late(hours)
    assert (found[1].days if found else None) == days


@pytest.mark.parametrize("days, share", [(1, 0.9), (3, 0.7), (10, 0), (30, 0)])
def test_each_day_takes_its_percent_and_never_more_than_all(days, share):
    assert late(24 * days)[1].share == pytest.approx(share)


def test_grace_free_days_and_a_last_day():
    policy = Policy({None: DUE}, grace_minutes=15, free_days=2, percent_per_day=25, most_days=2)
    assert not late(0.25, policy) and late(0.26, policy)
    assert [late(24 * days, policy)[1].share for days in (1, 2, 3, 4, 5)] == [1, 1, 0.75, 0.5, 0]


def test_the_students_own_deadline_and_days_come_first():
    policy = Policy({None: DUE}, free_days=2)
    assert not late(24, policy, due=DUE + timedelta(days=3))
    assert late(48, policy, late_days=0)[1].share == pytest.approx(0.8)
    assert late(72, policy, late_days=3)[1].share == 1


def test_free_days_are_spent_once_on_the_earlier_assignments_first():
    policy = Policy({1: DUE, 2: DUE + timedelta(days=1)}, free_days=4)
    found = late(24 * 3, policy, assignments=(2, 1))
    assert {n: (each.days, each.free) for n, each in found.items()} == {1: (3, 3), 2: (2, 1)}


def test_an_assignment_without_a_deadline_is_never_late():
    assert not late(1000, Policy({2: DUE})) and not late(1000, Policy())


def test_the_sentences_say_what_it_costs():
    assert str(late(24)[1]) == "1 day late: 10% of the points are taken off."
    assert str(late(48, Policy({None: DUE}, free_days=1))[1]) == "2 days late, 1 of them free: 10% of the points are taken off."
    assert str(late(48, Policy({None: DUE}, free_days=2))[1]) == "2 days late, all of them free."


def test_the_policy_is_data(tmp_path):
    path = tmp_path / "late.toml"
    path.write_text("due = 2026-10-01T12:00:00Z\nfree_days = 1\npercent_per_day = 5.5\n")
    assert read(path) == Policy({None: DUE}, free_days=1, percent_per_day=5.5)
    path.write_text("[due]\n1 = 2026-10-01T12:00:00Z\n2 = 2026-10-08\n")
    assert read(path).due[1] == DUE and read(path).due[2].hour == 23
    assert read(path, "2026-10-01T12:00+00:00").due == {None: DUE}
    assert read(None) == Policy() and read(None, "2026-10-01T12:00Z") == Policy({None: DUE})


@pytest.mark.parametrize("text, sentence", [("due = 5", "5 is no moment"), ("days = 1", "unknown fields: days. There are due"),
                                            ("free_days = -1", "free_days must be a number, 0 or more"),
                                            ("percent_per_day = 'x'", "must be a number"), ("due = ", "can't be read as TOML"),
                                            ("[due]\nfirst = 2026-10-01", "first"),
                                            ("due = 'soon'", "A deadline looks like")])
def test_a_mistake_in_the_policy_is_a_sentence(text, sentence, tmp_path):
    (tmp_path / "late.toml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path / "late.toml")
