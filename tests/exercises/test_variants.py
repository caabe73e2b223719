"""What a class is asked in place of a public exercise: right in itself, and no public solution passes it."""

import json
import os
import re
import subprocess
import sys
import tomllib
import warnings

import numpy as np
import pytest
from minillm import exercises
from minillm.checks import gradient_check
from minillm.exercises import load, stubs, variants
from minillm.exercises.solutions import solution
from minillm.grading import checking, child

from .judging import answer, different_solution, different_solutions

NAMES = [name for name in exercises.names() if variants.of(name)]
ALL = [pytest.param(name, each, id=f"{name}: {each.name}") for name in NAMES for each in variants.of(name)]
EVERY = pytest.mark.parametrize("name, which", ALL)


def made(name, which, number=0):
    """The variant with the first (or another) of its numbers."""
    return variants.made(load(name), which, {word: choices[number % len(choices)] for word, choices in which.numbers.items()})


def first_failure(exercise, source, seed=0):
    """The first check that isn't passed, as checking.run would judge it: mistakes that a passed check shows are excluded."""
    excluded: set = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functions = source if isinstance(source, dict) else vars(child.module("student", source, "<student>"))
        for check in exercise.checks:
            prepared = checking.prepare(exercise, check, np.random.default_rng([seed, *check.name.encode()]))
            answers = [answer(functions, each, "<student>") for each in prepared]
            advice = {each.name: each.advice for each in exercise.mistakes}
            verdict = checking.judge(check.name, prepared, answers, exercise.name, advice, check.tolerance, excluded, check.says)
            if verdict.status != "passed":
                return verdict
            excluded |= checking.shown_by(prepared)
    return None


@EVERY
def test_its_own_model_answer_passes(name, which):
    for number in range(3):
        exercise = made(name, which, number)
        assert first_failure(exercise, variants.solution(exercise), seed=number) is None


@EVERY
def test_the_public_solution_fails_its_first_check_and_is_recognised(name, which):
    verdict = first_failure(made(name, which), solution(name))
    assert verdict is not None, "the public solution passes"
    assert verdict.diagnosis == variants.PUBLIC, verdict
    assert which.differs.split("CAP")[0].split("FACTOR")[0].split("STEEP")[0] in verdict.advice


@EVERY
def test_no_other_public_solution_passes(name, which):
    for each, how in different_solutions():
        if each == name:
            assert first_failure(made(name, which), different_solution(name, how)).diagnosis == variants.PUBLIC, how


@EVERY
def test_one_variant_s_answer_doesn_t_pass_another(name, which):
    for other in variants.of(name):
        if other is not which:
            assert first_failure(made(name, which), variants.solution(made(name, other))) is not None


@EVERY
def test_every_mistake_is_seen_and_called_by_its_own_name(name, which):
    exercise = made(name, which)
    for wrong in exercise.mistakes:
        verdict = first_failure(exercise, {**exercise.functions, **wrong.functions})
        assert verdict is not None, f"no check sees {wrong.name!r}"
        assert verdict.diagnosis == wrong.name, f"{wrong.name!r} is called {verdict.diagnosis!r}: {verdict.message}"


@EVERY
def test_gradients_are_the_slopes(name, which):
    """Cases of the checks that go forward and backward; arrays of floats are differentiated, the rest is kept. A text of one token has no
    choice what to look at: there the gradients of queries and keys are zero."""
    exercise, checked = made(name, which), 0
    for check in exercise.checks:
        for case in check.cases(np.random.default_rng(3)):
            if [step.function for step in case.steps] != ["forward",
                                                          "backward"] or any(np.abs(value).max() > 50 for value in case.values.values()
                                                              if isinstance(value, np.ndarray)):
                continue
            values = [case.values[argument] for argument in case.steps[0].arguments]
            if name == "grouped_attention" and values[0].shape[1] == 1:
                continue
            options = {key: case.values[value] for key, value in case.steps[0].options.items()}

            class Operation:
                forward, backward = staticmethod(exercise.functions["forward"]), staticmethod(exercise.functions["backward"])

            report = gradient_check(Operation, *values, **options)
            assert report.ok, f"{check.name}\n{report}"
            checked += 1
    assert checked >= 2


@EVERY
def test_the_text_is_whole_and_tells_the_difference(name, which):
    exercise = made(name, which)
    text = " ".join([exercise.statement, exercise.title, *exercise.hints, *(wrong.advice for wrong in exercise.mistakes),
                     *(check.title for check in exercise.checks)])
    assert not [word for word in which.numbers if word in text]
    assert exercise.statement != load(name).statement and "Mind: this is not the usual one." in exercise.statement
    assert all(line == line.rstrip() and len(line) <= 140 for line in exercise.statement.splitlines())
    stub = stubs.stub(exercise)
    assert exercise.statement.strip() in stub and "NotImplementedError" in stub
    assert re.findall(r"^def (\w+)", stub, re.MULTILINE) == [*load(name).functions], "the signature is the public one"
    assert first_failure(exercise, stub).status == "not started"


@EVERY
def test_it_can_be_written_as_toml(name, which):
    exercise = made(name, which)
    found = tomllib.loads(variants.as_toml(exercise))
    assert found.keys() == exercises.told(name).keys()
    assert all((tuple(value) if key == "hints" else value) == getattr(exercise, key) for key, value in found.items())


@pytest.mark.slow
def test_a_class_is_handed_its_variants_and_graded_by_them(tmp_path):
    """Assignment 4 by a secret: in the pack alone public solutions fail, the variants' pass; and the grader says the same."""
    from minillm.grading.classes import run
    from minillm.practice import pack
    secret, folder = b"a secret of sixteen bytes and more", tmp_path / "pack"
    asked = {name: variants.variant(name, secret) for name in pack.build(4, folder, secret)}
    assert all((folder / "exercises" / f"{name}.py").read_text("utf-8") == stubs.stub(exercise) for name, exercise in asked.items())
    environment = os.environ | {"PYTHONPATH": str(folder)}
    for answers, passes in ((solution, False), (lambda name: variants.solution(asked[name]), True)):
        for name in asked:
            (folder / "exercises" / f"{name}.py").write_text(answers(name), "utf-8")
        told = subprocess.run([sys.executable, "-P", "-m", "minillm", "exercises", "check", *asked, "--json"], cwd=folder, env=environment,
                              capture_output=True, text=True)
        statuses = {name: {each["status"] for each in verdicts} for name, verdicts in json.loads(told.stdout).items()}
        assert all(("failed" not in found) == passes for found in statuses.values()), told.stdout + told.stderr
        (tmp_path / "secret").write_bytes(secret)
        graded = run.grade(folder / "exercises", run.Settings(tmp_path / f"grades{passes}", assignment=4, secret=tmp_path / "secret", workers=0,
            variants=True))
        assert not graded.failures
        assert all((each.points == each.possible) == passes for each in graded.results[0].exercises)
    hint = subprocess.run([sys.executable, "-P", "-m", "minillm", "exercises", "hint", "swiglu"], cwd=folder, env=environment, capture_output=True,
                          text=True)
    assert " ".join(asked["swiglu"].hints[0].split()[:5]) in " ".join(hint.stdout.split()), hint.stdout + hint.stderr


def test_a_secret_draws_always_the_same_and_secrets_differ():
    drawn = {secret: tuple(variants.variant(name, secret).title for name in NAMES) for secret in (bytes([i]) * 8 for i in range(40))}
    assert all(tuple(variants.variant(load(name), secret).title for name in NAMES) == titles for secret, titles in drawn.items())
    assert len(set(drawn.values())) > 20
    for i, name in enumerate(NAMES):
        assert len({titles[i] for titles in drawn.values()}) == len(variants.of(name)), f"not every variant of {name} is ever drawn"


def test_numbers_are_drawn_too():
    capped = {re.search(r"(\S+) · tanh", exercise.statement)[1] for exercise in (variants.variant("attention_head", bytes([i])) for i in range(60))
              if "soft-capped" in exercise.title}
    assert capped == {"1.5", "2", "2.5"}


def test_an_exercise_without_variants_stays_as_it_is():
    assert variants.variant("linear", b"secret") is load("linear")
    assert variants.solution(load("linear")) == solution("linear")


def test_what_five_variants_the_course_promises_are_there():
    names = {each.name for name in NAMES for each in variants.of(name)}
    assert {"ε outside the root", "only a part of the channels turns", "normed queries and keys", "a gated ReLU²", "soft-capped scores"} <= names


def test_an_edit_that_doesn_t_fit_is_a_sentence():
    with pytest.raises(ValueError, match="stands 2 times"):
        variants.edited("a a", [("a", "b")], "twice")
