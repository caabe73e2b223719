"""A verdict is ours alone: what passes, what fails, what is the grader's own failure."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from minillm import exercises
from minillm.exercises.exercise import Case, Check, Step, call
from minillm.exercises.solutions import solution
from minillm.grading import caller, checking, nurseries, sandbox
from minillm.grading.caller import Answer
from minillm.grading.checking import Prepared, Verdict, judge
from minillm.grading.wire import Foreign

CASE = call("scaled", x=np.array([1.0, 2.0, 3.0]), options={"by": 2.0})
PREPARED = [Prepared(CASE, {"result": np.array([2.0, 4.0, 6.0])}, {"twice as much": {"result": np.array([4.0, 8.0, 12.0])}})]
GIVEN = {"x": np.array([1.0, 2.0, 3.0]), "by": 2.0}


def verdict(**answer) -> Verdict:
    return judge("scaled", PREPARED, [Answer(**answer)], "demo", {"twice as much": "Is it doubled?"})


def test_the_right_answer_passes_and_what_was_printed_comes_along():
    assert verdict(values={"result": np.array([2.0, 4.0, 6.0]), **GIVEN}, printed="hello") == Verdict("demo", "scaled", "passed", printed="hello")


def test_a_wrong_answer_is_told_with_the_call_and_named_where_it_is_known():
    told = verdict(values={"result": np.array([4.0, 8.0, 12.0]), **GIVEN})
    assert (told.status, told.diagnosis, told.advice) == ("failed", "twice as much", "Is it doubled?")
    assert told.message == "scaled(x float64 (3,), by=2.0)\nresult[0] is 4 and should be 2 (3 of 3 numbers differ)."


def test_a_changed_input_is_told_beside_wrong_numbers_too():
    spoiled = {"x": np.array([1.0, 2.0, 4.0]), "by": 2.0}
    wrong = verdict(values={"result": np.array([2.0, 4.0, 8.0]), **spoiled})
    assert "result[2] is 8 and should be 6" in wrong.message and "x was changed" in wrong.message
    right = verdict(values={"result": np.array([2.0, 4.0, 6.0]), **spoiled})
    assert right.status == "failed" and "x was changed" in right.message
    assert verdict(values={"result": np.array([2.0, 4.0, 6.0]), "by": 2.0}).status == "failed", "an input that never came back was not changed?"


def test_an_input_that_is_meant_to_change_is_compared():
    case = Case({"x": np.ones(2)}, (Step("double", ("x",), results=("_",)),), (), may_change=("x",))
    prepared = [Prepared(case, {"x": np.full(2, 2.0)})]
    assert judge("c", prepared, [Answer({"x": np.full(2, 2.0)})], "e", {}).status == "passed"
    assert judge("c", prepared, [Answer({"x": np.ones(2)})], "e", {}).status == "failed"


@pytest.mark.parametrize("answer, status", [
    (dict(problem="grader", message="no fork"), "error"), (dict(problem="not started", message="f"), "not started"),
    (dict(problem="died", message="gone"), "failed"),
    (dict(problem="error", message="E: x", line=3, text="  f()"), "failed"), (dict(problem="time", message="long"), "failed"),
    (dict(values={}), "failed"),
])
def test_problems_have_their_status(answer, status):
    told = verdict(**answer)
    assert told.status == status
    assert "line" not in answer or told.message.endswith("E: x (line 3: f())")


NUMBERS = hnp.arrays(st.sampled_from([np.float64, np.float16, np.int64, np.bool_, np.complex128, np.uint64]),
                     hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), NUMBERS, st.builds(Foreign, st.text()))
KEYS = st.text() | st.tuples(st.integers())


def nested(inner):
    return st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)


STRANGE = st.recursive(PLAIN | st.just(10**4000), nested)
EXPECTED = st.sampled_from([np.arange(3.0), (np.arange(3.0), np.ones((2, 2))), [1, 2], {"a": 1.0, (1, 2): 2}, 3, 2.5, True, "text", b"x", None,
                            np.arange(3), (np.ones(1),), [0.5, [1.0]]])


@given(EXPECTED, STRANGE, STRANGE)
def test_no_answer_however_strange_upsets_the_judge(expected, answer, given_):
    """An exception here would be an error of the grader's, which costs no points."""
    told = judge("c", [Prepared(CASE, {"result": expected}, {"m": {"result": expected}})], [Answer({"result": answer, "x": given_, "by": 2.0})],
                 "e", {})
    assert told.status == "failed", "the inputs were changed, at least"
    assert told.message.encode() and len(told.message) < 5000


def test_an_answer_that_upsets_a_diagnosis_is_wrong_all_the_same(monkeypatch):
    def upset(faults):
        raise RecursionError

    monkeypatch.setattr(checking, "diagnose", upset)
    assert verdict(values={"result": np.zeros(3), **GIVEN}).status == "failed"


# --- the grader's own failures ------------------------------------------------------------------------------------------------------------

def demo(**checks) -> exercises.Exercise:
    def made(name, cases):
        return Check(name, "it works", cases if callable(cases) else lambda rng: [CASE], after=() if name == "first" else ("first",))

    def scaled(x, by):
        return x * by

    whole = exercises.load("rmsnorm")
    return replace(whole, name="demo", functions={"scaled": scaled}, checks=tuple(made(name, cases) for name, cases in checks.items()), mistakes=(),
                   points=dict.fromkeys(checks, 1.0))


SCALED = "def scaled(x, by):\n    return x * by"


def test_a_grader_that_fails_takes_no_points(monkeypatch):
    def refuse(*arguments):
        raise nurseries.Trouble("no memory")

    monkeypatch.setattr(nurseries, "child", refuse)
    monkeypatch.setattr(caller.time, "sleep", lambda seconds: None)
    first, second = checking.run(demo(first=None, second=None), SCALED)
    assert first.status == second.status == "error" and "no memory" in first.message and second.message == "first must pass first."


@pytest.mark.parametrize("cases, sentence", [
    (lambda rng: 1 / 0, "ZeroDivisionError"),
    (lambda rng: [call("scaled", x=np.array([np.nan]), by=1.0)], "asks for what no answer can equal"),
    (lambda rng: [call("scaled", x=np.array([1j]), by=1.0)], "asks for what no answer can equal"),
    (lambda rng: [call("unknown", x=np.ones(1))], "KeyError"),
])
def test_a_check_that_is_wrong_itself_takes_no_points(cases, sentence):
    first, sound = checking.run(demo(first=cases, sound=None), SCALED)
    assert first.status == sound.status == "error" and sentence in first.message


def test_statuses_go_on_to_the_checks_behind():
    assert [each.status for each in checking.run(demo(first=None, second=None), SCALED)] == ["passed", "passed"]
    assert [each.status for each in checking.run(demo(first=None, second=None), SCALED.replace("*", "+"))] == ["failed", "not reached"]
    assert [each.status for each in checking.run(demo(first=None, second=None),
                                                 "def scaled(x, by):\n    raise NotImplementedError('demo.scaled')")] == ["not started"] * 2


def test_a_regrade_repeats_and_another_student_has_other_inputs():
    seen = []

    def cases(rng):
        seen.append(rng.normal())
        return [CASE]

    exercise = demo(first=cases)
    for secret, student in ((b"s", "ann"), (b"s", "ann"), (b"s", "bob"), (b"t", "ann")):
        checking.run(exercise, SCALED, secret, student)
    assert seen[0] == seen[1] and len(set(seen)) == 3


# --- under load ------------------------------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_no_right_answer_fails_on_a_busy_machine():
    """Eight processes that compute without end beside the grader, and four threads that grade: every model answer passes, every time."""
    import subprocess
    import sys
    from concurrent.futures import ThreadPoolExecutor

    kept, names = sandbox.best(), exercises.names()
    busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(8)]
    try:
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(lambda i: checking.run(exercises.load(names[i % len(names)]), solution(names[i % len(names)]), b"load", str(i),
                                                        sandbox=kept), range(3 * len(names))))
    finally:
        for each in busy:
            each.kill()
            each.wait()
    wrong = [each for run in runs for each in run if each.status != "passed"]
    assert not wrong, wrong[0]
    print(f"{sum(map(len, runs))} checks of {len(runs)} submissions, and not one failed")
