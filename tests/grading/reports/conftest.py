"""Results to write reports of, with whatever a hostile student could put into them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from minillm.exercises import load
from minillm.grading.checking import Verdict
from minillm.grading.classes.late import Late
from minillm.grading.classes.overrides import Override
from minillm.grading.classes.points import scored
from minillm.grading.classes.roster import Student
from minillm.grading.classes.run import Graded
from minillm.grading.classes.submissions import Found, Submission

RMSNORM = load("rmsnorm")
MOMENT = datetime(2026, 10, 1, 12, tzinfo=UTC)

# What each language of the reports would take for something else.
HOSTILE = "</pre><script>alert(1)</script> ``` | `x` **b** &amp; ]]> \x00\x1b[31m \u202e \ud800 \r\n=1+1"
STATES = {"passed": ("passed", "passed", "passed", "passed"), "wrong": ("passed", "passed", "failed", "not reached"),
          "open": ("passed", "error", "failed", "not reached"),
          "stub": ("not started",) * 4}


def make(id="s1", name="Ada Lowe", states="wrong", message="forward(x float64 (3, 5))\ny[0] is 1 and should be 2 (1 of 15 numbers differ).",
         diagnosis="sum for mean",
         advice="Is it the mean?", overrides=(), late=None, refused=None, handed_in=True):
    def verdict(check, state):
        told = {"failed": (message, diagnosis, advice), "error": ("no memory", None, None), "not reached": ("backward must pass first.", None, None)}
        return Verdict("rmsnorm", check, state, *told.get(state, ("", None, None)))
    verdicts = {"rmsnorm": {check.name: verdict(check.name, state) for check, state in zip(RMSNORM.checks, STATES[states], strict=True)}}
    submission = Submission(Student(id, name), (Path("work.zip"),) if handed_in else (), {}, refused, MOMENT)
    by_hand = {(id, "rmsnorm", check): Override(id, "rmsnorm", check, points, reason) for check, points, reason in overrides}
    return scored(submission, [RMSNORM], verdicts, by_hand,
                  {4: Late(4, MOMENT, MOMENT, late, 0, 1 - late / 10)} if late else {})


@pytest.fixture
def result():
    return make


@pytest.fixture
def hostile():
    return make(id="=s1", name=HOSTILE, message=f"forward()\n{HOSTILE}", overrides=[("forward", 1, HOSTILE)])


@pytest.fixture
def school():
    """Five students: one who passed, two with a mistake, one refused, one who handed nothing in; and a stranger."""
    results = [make("s1", states="passed"), make("s2", "Bob", overrides=[("", 7, "by hand")]), make("s3", "", "open", late=2),
               make("s4", "Dan", "stub", refused="It has a name that leads outside."), make("s5", "Eve", "stub", handed_in=False)]
    found = Found([Submission(each.student, tuple(map(Path, each.handed_in)), {}, each.refused) for each in results],
                  [("zoe.zip", "there is no such student on the roster.")])
    return Graded(results, found, [RMSNORM], {("s3", "rmsnorm", "extremes"): "no memory"}, ["a note"])
