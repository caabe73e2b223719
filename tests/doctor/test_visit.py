"""The visit as a whole: on machines made of fakes, and on the real one, whatever it is."""

import json
import subprocess
import sys

import pytest
from doctor.fakes import lacking, with_versions

from minillm import cli, doctor
from minillm.doctor import ABSENT, FAIL, OK, Finding, finding


def test_it_prints_a_line_each_and_answers_0_unless_something_failed(monkeypatch, capsys):
    def fine():
        return Finding(OK, "this is fine")

    def several():
        return [Finding(ABSENT, "one is absent", "get it"), Finding(OK, "one is there")]

    def silent():
        return None

    monkeypatch.setattr(doctor, "CHECKS", [fine, several, silent])
    assert doctor.run() == 0
    assert capsys.readouterr().out.splitlines() == [
        "[OK]   this is fine", "[--]   one is absent", "         -> get it", "[OK]   one is there", "",
        "minillm will work here. What is marked [--] is optional."]
    monkeypatch.setattr(doctor, "CHECKS", [fine])
    assert doctor.run() == 0 and capsys.readouterr().out.endswith("minillm will work here.\n")


@pytest.mark.parametrize("problem", [ZeroDivisionError("by zero"), ImportError("libopenblas.so: cannot open\nmore"),
                                     OSError(5, "Input/output error"), RuntimeError()])
def test_a_check_that_raises_is_a_failure_and_the_visit_goes_on(monkeypatch, capsys, problem):
    def strange_thing():
        raise problem

    monkeypatch.setattr(doctor, "CHECKS", [strange_thing, lambda: Finding(OK, "the next one")])
    assert doctor.run() == 1
    out = capsys.readouterr().out
    assert f"[FAIL] the check of strange thing failed: {type(problem).__name__}: " in out
    assert "[OK]   the next one" in out and "1 thing to mend" in out


def test_a_package_that_is_there_but_broken_is_not_called_absent(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'its_dependency'", name="its_dependency")

    monkeypatch.setattr(finding.importlib, "import_module", broken)
    monkeypatch.setattr(doctor, "CHECKS", [doctor.cupy, doctor.numpy])
    with_versions(monkeypatch)
    assert [found.status for _, found in doctor.findings()] == [FAIL, FAIL]


def test_json_carries_the_same(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", [doctor.python, lambda: Finding(FAIL, "broken", "mend it")])
    assert doctor.run(json=True) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["check"] == "python" and first["status"] == OK
    assert second == {"check": "<lambda>", "status": FAIL, "what": "broken", "remedy": "mend it"}


def test_nothing_of_it_crashes_on_the_machine_at_hand(capsys):
    assert cli.run(["doctor", "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert {"python", "operating_system", "cores", "memory", "numpy", "cupy"} <= {one["check"] for one in found}
    assert all("\n" not in one["what"] and bool(one["remedy"]) == (one["status"] != OK) for one in found)


def test_importing_it_loads_nothing_that_could_be_broken():
    code = "import sys, minillm.doctor; print(*{'numpy', 'cupy', 'torch', 'threadpoolctl', 'ml_dtypes'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_every_import_that_fails_leaves_a_report(monkeypatch, capsys):
    """As on a machine where nothing beyond Python itself is installed."""
    lacking(monkeypatch, "numpy", "threadpoolctl", "cupy", "minillm")
    with_versions(monkeypatch)
    assert doctor.run() == 1
    assert "[FAIL] NumPy is not installed" in capsys.readouterr().out
