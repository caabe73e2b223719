"""Every planted error is caught by the test named for it; and planting works. See mutation.py."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import mutation
import pytest
from mutation import Mutant

EVERY = pytest.mark.parametrize("mutant", mutation.all_mutants(), ids=lambda mutant: f"{mutant.id} {mutant.name}")


@pytest.mark.slow
@EVERY
def test_the_named_test_catches_the_mutant(mutant, record_property):
    if mutant.caught_by.startswith("tests/lessons/") and importlib.util.find_spec("jupytext") is None:
        pytest.skip("the tests of the lessons need the extra [lessons]")
    verdict = mutation.run(mutant)
    assert verdict.caught, verdict.why
    record_property("caught", [mutant.id, mutant.file, mutant.name, mutant.caught_by, verdict.seconds])


@EVERY
def test_a_mutant_fits_the_source_of_today(mutant):
    mutant.check()


def test_no_two_mutants_make_the_same_edit():
    edits = [(mutant.file, mutant.mutated()) for mutant in mutation.all_mutants()]
    assert len(set(edits)) == len(edits)


# --- mutation.py itself ----------------------------------------------------------------------------------------------------

@pytest.fixture
def house(tmp_path):
    """A small project: a module, and a test of it."""
    (tmp_path / "house.py").write_text("def half(x: float) -> float:\n    return x / 2   # half of x\n")
    (tmp_path / "test_house.py").write_text("class TestHouse:\n    def test_half(self): ...\n\ndef test_door(): ...\n")
    return tmp_path


def mutant(old="x / 2", new="x / 3", file="house.py", caught_by="test_house.py::test_door"):
    return Mutant("tiny:0", "a third", file, old, new, caught_by)


def test_a_sound_mutant_passes_the_check(house):
    mutant().check(house)
    mutant(caught_by="test_house.py::TestHouse::test_half[3]").check(house)


@pytest.mark.parametrize("wrong, sentence", [
    (dict(old="x / 4"), "occurs 0 times; the source has changed"),
    (dict(old="x"), "occurs 3 times; quote more"),
    (dict(new="x / / 2"), "doesn't compile"),
    (dict(new="(x / 2)"), "means the same"),
    (dict(old="half of x", new="a half of x"), "means the same"),
    (dict(file="shed.py"), "no file shed.py"),
    (dict(file="test_house"), "only a Python module"),
    (dict(caught_by="test_house.py::test_half"), "no test test_house.py::test_half"),
    (dict(caught_by="test_house.py::TestHouse"), "no test"),
    (dict(caught_by="test_house.py"), "no test"),
    (dict(caught_by="test_shed.py::test_door"), "no test"),
])
def test_an_unsound_mutant_is_told_apart_with_a_sentence(house, wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        mutant(**wrong).check(house)


def test_a_list_with_a_misspelt_entry_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mutation, "MUTANTS", tmp_path)
    (tmp_path / "tiny.py").write_text("MUTANTS = [dict(name='a third', file='house.py', old='2', new='3', cought_by='test')]")
    with pytest.raises(ValueError, match="tiny:0 must have exactly the entries caught_by, .* it has cought_by"):
        mutation.mutants("tiny")


@pytest.mark.parametrize("id", ["tiny", "tiny:", "tiny:1", "tiny:-1", "huge:0"])
def test_an_unknown_mutant_is_refused(id, tmp_path, monkeypatch):
    monkeypatch.setattr(mutation, "MUTANTS", tmp_path)
    (tmp_path / "tiny.py").write_text("MUTANTS = [dict(name='a third', file='f.py', old='2', new='3', caught_by='test')]")
    assert mutation.find("tiny:0").name == "a third"
    with pytest.raises(ValueError, match="There is no"):
        mutation.find(id)


READER = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, "."]
import mutation
from jaxtyping import install_import_hook
loaded = mutation.replace_source(Path("house.py"), "def half(x: float) -> float:\\n    return x / 3\\n") if {planted} else None
if {checked}:
    install_import_hook("house", "typecheck.checked")
assert loaded is None or not loaded()
import house
assert loaded is None or loaded()
try:
    house.half("no number")
except Exception as problem:
    print(house.half(6), type(problem).__module__.partition(".")[0])
"""


def test_a_planted_mutant_is_what_runs_and_leaves_nothing_behind(house):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def read(planted, checked):
        code = READER.format(tests=str(mutation.ROOT / "tests"), planted=planted, checked=checked)
        return subprocess.run([sys.executable, "-c", code], cwd=house, env=environment, capture_output=True, text=True,
                              check=True).stdout.split()

    def bytecode():
        return {path: path.read_bytes() for path in house.rglob("*.pyc")}

    assert read(planted=True, checked=False) == ["2.0", "builtins"]
    assert read(planted=True, checked=True) == ["2.0", "jaxtyping"], "the shapes are no longer checked in a mutated module"
    assert not bytecode(), "a mutant got into the cache of compiled modules"
    assert read(planted=False, checked=True) == ["3.0", "jaxtyping"]
    assert read(planted=False, checked=False) == ["3.0", "builtins"]
    sound = bytecode()
    assert len(sound) == 2
    assert read(planted=True, checked=True)[0] == "2.0", "the cached bytecode was run in place of the mutant"
    assert bytecode() == sound


LOADED = "mutant tiny:0 was loaded"
FAILED = "FAILED test_house.py::test_door - "


@pytest.mark.parametrize("code, out, err, why", [
    (0, "1 passed", LOADED, "the test passed"),
    (1, FAILED + "assert 2 == 3", "", "house.py was never imported"),
    (1, "ERROR test_house.py::test_door - assert 2 == 3", LOADED, "didn't run to its own end"),
    (1, "FAILED test_house.py::test_doors - assert 2 == 3", LOADED, "didn't run to its own end"),
    (2, "ERROR test_house.py - SyntaxError", LOADED, "exit code 2"),
    (4, "ERROR: not found", LOADED, "exit code 4"),
    (1, FAILED + "NameError: name 'y' is not defined", LOADED, "can't run at all"),
])
def test_a_mutant_not_caught_is_reported_with_the_reason(code, out, err, why):
    caught, said = mutation.judged(mutant(), code, out, err)
    assert not caught
    assert why in said and out in said and err in said


@pytest.mark.parametrize("line", [FAILED + "assert 2 == 3", FAILED.removesuffix(" - "), "FAILED test_house.py::test_door[a-b] - assert 0"])
def test_a_mutant_is_caught_when_the_named_test_fails(line):
    assert mutation.judged(mutant(), 1, f"…\n{line}\n1 failed", LOADED) == (True, "")


def test_a_mutant_that_no_test_minds_is_not_caught():
    """The whole way: a sound test of something else passes, and that is reported."""
    blind = "tests/test_arrays.py::test_rows_of_folds_the_leading_axes"
    unnoticed = mutation.run(replace(mutation.find("arrays:0"), caught_by=blind))
    assert not unnoticed.caught
    assert "the test passed" in unnoticed.why


def test_a_mutant_that_hangs_is_not_caught(monkeypatch):
    monkeypatch.setattr(mutation, "PATIENCE", 0.01)
    assert "still running" in mutation.run(mutation.find("arrays:0")).why
