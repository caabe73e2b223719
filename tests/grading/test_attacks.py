"""Hostile and broken submissions, one file each in attacks/: none gains a point, stops the batch, or leaves a process or a file behind.

They are graded as any submission is, in every tier that this machine can offer. An attack prints GOT when it has got what it wanted.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from minillm import exercises
from minillm.exercises.exercise import call
from minillm.exercises.solutions import solution
from minillm.grading import caller, checking, nurseries, sandbox
from minillm.grading.nurseries import Sandbox

HERE = Path(__file__).parent / "attacks"
ATTACKS = sorted(path.stem for path in HERE.glob("*.py"))
TIERS = ("unshare", "bubblewrap", "uid", "limits")
SECRET = b"the-teachers-secret"
WRITTEN = [Path(folder) for folder in ("/tmp", "/dev/shm", "/var/tmp")]


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(caller.Limits, "wall", property(lambda self: 3.0))


def offered(tier: str) -> Sandbox:
    why = sandbox.failing(tier)
    if why:
        pytest.skip(f"{tier}: {why}")
    return Sandbox(tier)


def graded(source: str, kept: Sandbox) -> list[checking.Verdict]:
    exercise = replace(exercises.load("rmsnorm"), seconds=1.0, megabytes=256)
    return checking.run(exercise, source, SECRET, "mallory", sandbox=kept)


def processes(tier: str) -> set[int]:
    """The nursery of a tier, and everything that came from it: by parents, and by namespace where it has its own."""
    nursery = nurseries.nursery(tier).process.pid
    parents, spaces = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                spaces[int(entry.name)] = os.readlink(entry / "ns/pid")
            except OSError:
                pass                                              # it has just ended
    found = {nursery}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    own = {spaces[pid] for pid in found if pid in spaces} - {os.readlink("/proc/self/ns/pid")}
    return found | {pid for pid, space in spaces.items() if space in own}


def settled(tier: str, before: set[int]) -> set[int]:
    """What is left of the processes, when those that are about to end have ended."""
    deadline = time.monotonic() + 10
    while (left := processes(tier) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def left_files() -> list[Path]:
    package = Path(nurseries.__file__).parent
    return [path for folder in (*WRITTEN, Path.cwd(), package) for path in folder.glob("*minillm-attack*")] + [
        path for folder in (*WRITTEN, package) for name in ("conftest.py", "sitecustomize.py", "pytest.ini") for path in folder.glob(name)]


def withstand(attack: str, kept: Sandbox) -> None:
    nurseries.nursery(kept.tier)
    before = processes(kept.tier)
    verdicts = graded((HERE / f"{attack}.py").read_text("utf-8"), kept)
    first = verdicts[0]
    assert len(verdicts) == 4, "not every check has a verdict"
    assert first.status == "failed", f"{first.status}: {first.message}"
    assert {verdict.status for verdict in verdicts[1:]} <= {"failed", "not reached"}, verdicts
    assert "GOT" not in first.printed, f"It says that it has got something: {first.printed}"
    assert all(letter.isprintable() or letter in "\n\t" for letter in first.printed + first.message), "control characters reach the report"
    assert (first.printed + first.message).encode("utf-8") and len(first.message) < 4000 and len(first.printed) < 5000
    assert not settled(kept.tier, before), "a process is left"
    assert not left_files()
    [honest] = caller.ask("def double(x):\n    return 2 * x", [call("double", x=np.ones(3))], sandbox=kept)
    assert honest.values["result"].tolist() == [2, 2, 2], f"After it, an honest submission gets: {honest.message}"


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gains_nothing_and_leaves_nothing(attack):
    withstand(attack, sandbox.best())


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gains_nothing_and_leaves_nothing_in_any_tier(attack, tier):
    withstand(attack, offered(tier))


def test_the_suite_is_large_and_tells_what_each_attack_tries():
    assert len(ATTACKS) >= 36
    assert all((HERE / f"{attack}.py").read_text("utf-8").startswith('"""') for attack in ATTACKS)


def test_the_attacked_exercise_can_be_passed():
    """Else no attack could fail to gain a point."""
    assert {verdict.status for verdict in graded(solution("rmsnorm"), sandbox.best())} == {"passed"}


def test_the_scan_of_memory_finds_what_is_there():
    """The attack is no paper tiger: it goes through thousands of pages, and a secret that does reach the child is found."""
    source = (HERE / "scans_its_memory.py").read_text("utf-8")
    for secret, gets in ((SECRET, True), (SECRET[::-1], False)):
        [answer] = caller.ask(source, [call("forward", returns=("y", "_cache"), x=np.ones(3), w=np.frombuffer(secret, np.uint8).copy())],
                              sandbox=sandbox.best())
        assert int(answer.printed.split()[0]) > 1000 and ("GOT" in answer.printed) == gets, answer
