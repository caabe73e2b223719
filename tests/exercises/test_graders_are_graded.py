"""The graders are graded: what is right passes, whatever its form; what is wrong fails where it should, and is called by its name."""

import pytest
from minillm import exercises
from minillm.exercises.solutions import solution
from minillm.exercises.stubs import stub
from minillm.grading import checking
from minillm.grading.compare import TOLERANCE, difference

from .judging import answer, different_solution, different_solutions, of_wrong, prepared, verdicts, wrong_submissions

EVERY = pytest.mark.parametrize("name", exercises.names())
DIFFERENT = pytest.mark.parametrize("name, how", different_solutions())
WRONG = wrong_submissions()


def statuses(judged) -> dict[str, str]:
    return {verdict.check: verdict.status for verdict in (judged.values() if isinstance(judged, dict) else judged)}


def assert_passes(name: str, source, seed: int = 0) -> None:
    failed = [verdict for verdict in verdicts(name, source, seed, mistakes=False).values() if verdict.status != "passed"]
    assert not failed, f"{name}, seed {seed}: {failed[0].check}: {failed[0].message}"


@EVERY
def test_a_stub_is_not_started(name):
    assert set(statuses(verdicts(name, stub(exercises.load(name)))).values()) == {"not started"}


@EVERY
def test_the_reference_passes(name):
    assert_passes(name, dict(exercises.load(name).functions))


@EVERY
def test_the_model_answer_passes(name):
    assert_passes(name, solution(name))


@DIFFERENT
def test_a_different_solution_passes(name, how):
    assert_passes(name, different_solution(name, how))


def test_every_exercise_has_its_different_solutions_and_its_wrong_ones():
    for name in exercises.names():
        assert sum(each == name for each, _ in different_solutions()) >= 2, f"{name} has too few different solutions"
        assert sum(each.exercise == name for each in WRONG) >= 4, f"{name} has too few wrong submissions"


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_submission_fails_the_named_check_and_none_before(wrong):
    judged = of_wrong(wrong)
    first = next((verdict for verdict in judged.values() if verdict.status != "passed"), None)
    assert first is not None, "it passes"
    assert first.check == wrong.fails, first.message
    assert first.status == "failed"


def test_the_diagnosis_names_the_planted_mistake():
    """At least two thirds get the right name, at most 2 % a wrong one."""
    right, astray, mute = [], [], []
    for wrong in WRONG:
        said = of_wrong(wrong)[wrong.fails].diagnosis
        (right if said and said == wrong.diagnosis else astray if said else mute).append((wrong, said))
    print(f"{len(WRONG)} wrong submissions: {len(right)} named rightly ({len(right) / len(WRONG):.0%}), {len(astray)} wrongly, {len(mute)} not named")
    told = "\n".join(f"{wrong}: called {said!r}, expected {wrong.diagnosis!r}" for wrong,
        said in astray + [each for each in mute if each[0].diagnosis])
    assert len(astray) <= 0.02 * len(WRONG), told
    assert len(right) >= 2 / 3 * len(WRONG), told
    assert not [wrong for wrong, _ in mute if wrong.diagnosis], told


@EVERY
def test_every_mistake_of_the_list_is_seen_and_called_by_its_own_name(name):
    """A mistake that no check sees, or that another one hides, is not worth its place in the list."""
    for wrong in exercises.load(name).mistakes:
        functions = {**exercises.load(name).functions, **wrong.functions}
        failed = [verdict for verdict in verdicts(name, functions).values() if verdict.status == "failed"]
        assert failed, f"no check sees {wrong.name!r}"
        assert wrong.name in [verdict.diagnosis for verdict in failed], f"{wrong.name!r} is called {[verdict.diagnosis for verdict in failed]}"


def test_a_mistake_that_a_passed_check_would_have_shown_is_not_named():
    cases, name = prepared("softmax", "backward", 0), "the row's sum forgotten"
    wrong = next(each for each in exercises.load("softmax").mistakes if each.name == name)
    answers = [answer(wrong.functions, case, "exercises/softmax.py") for case in cases]
    assert checking.judge("backward", cases, answers, "softmax", {}).diagnosis == name
    assert checking.judge("backward", cases, answers, "softmax", {}, excluded={name}).diagnosis != name


@EVERY
def test_a_mistake_is_far_from_the_tolerance(name):
    """In the first check that sees it, what a mistake answers differs a hundred times more than is allowed: no seed lets it through."""
    met = set()
    for check in exercises.load(name).checks:
        cases = prepared(name, check.name, 0)
        for wrong in checking.shown_by(cases) - met:
            answers = [(case.mistaken[wrong], case.expected) for case in cases if wrong in case.mistaken]
            assert any(not answer or difference(answer[key], expected, tolerance=100 * (check.tolerance or TOLERANCE))
                       for answer, right in answers for key, expected in right.items()), f"{check.name}: {wrong!r} is hardly to be seen"
        met |= checking.shown_by(cases)


def test_a_model_answer_passes_through_a_real_child():
    assert set(statuses(checking.run(exercises.load("embedding"), solution("embedding"))).values()) == {"passed"}


@pytest.mark.slow
@EVERY
def test_every_model_answer_passes_through_real_children(name):
    assert set(statuses(checking.run(exercises.load(name), solution(name))).values()) == {"passed"}


@pytest.mark.slow
@EVERY
def test_no_correct_submission_ever_fails(name, unchecked):
    """20 draws of every check for every correct submission: over all exercises well over 1,000 runs, and not one failure."""
    sources = [solution(name), *(different_solution(name, how) for each, how in different_solutions() if each == name)]
    for seed in range(1, 21):
        for source in sources:
            assert_passes(name, source, seed)
        prepared.cache_clear()


SAYS_THE_SAME = {"overflow in exp": "NaN or infinity"}      # the general diagnosis asks where an exponential overflows, too


@pytest.mark.slow
@EVERY
def test_no_wrong_submission_ever_passes(name, unchecked):
    """Three more draws for each."""
    for seed in range(1, 4):
        for wrong in (each for each in WRONG if each.exercise == name):
            judged = verdicts(name, wrong.source, seed)
            assert judged[wrong.fails].status == "failed", f"{wrong} passes with seed {seed}"
            said = judged[wrong.fails].diagnosis
            assert said in (wrong.diagnosis, SAYS_THE_SAME.get(wrong.diagnosis), None), f"{wrong} is called {said!r} with seed {seed}, not {wrong.diagnosis!r}"
        prepared.cache_clear()
