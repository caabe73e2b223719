"""The grader is killed again and again, and in the end everybody has just the points of an undisturbed run."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

GOOD = """import numpy as np

def forward(x, w, eps=1e-5):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x * r * w, (x, w, r)

def backward(dy, cache):
    x, w, r = cache
    g = dy * w
    dx = r * (g - x * (r * r * (g * x).mean(-1, keepdims=True)))
    return dx, (dy * x * r).reshape(-1, w.size).sum(0)
"""
KINDS = [GOOD, GOOD.replace("mean(-1, keepdims=True) + eps", "sum(-1, keepdims=True) + eps"), GOOD.replace("dx = r * (g - x", "dx = r * (g + x"),
         "raise NotImplementedError('rmsnorm.forward')\n", "def forward(x, w, eps=1e-5):\n    while True:\n        pass\n"]


def class_of(folder, students):
    for i in range(students):
        (folder / f"s{i:02d}").mkdir(parents=True)
        (folder / f"s{i:02d}" / "rmsnorm.py").write_text(KINDS[i % 4])
    return folder


def command(place, out, *more):
    return [sys.executable, "-m", "minillm", "grade", str(place), "--out", str(out), "--secret", str(out.parent / "secret"), *more]


def environment(folder):
    """The folder for temporary files is the one variable that students' processes are given, too: it marks them all."""
    (folder / "temporary").mkdir(exist_ok=True)
    return os.environ | {"PYTHONPATH": ROOT, "TMPDIR": str(folder / "temporary")}


def marked(folder):
    """The processes of a grader that was started with this environment, those of the students among them."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if f"TMPDIR={folder / 'temporary'}".encode() in file.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


def gone(folder):
    deadline = time.monotonic() + 30
    while marked(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not marked(folder)


def verdicts(out):
    lines = []
    for line in (out / "journal.jsonl").read_bytes().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return [(line["student"], line["check"], line["submission"], line["definition"]) for line in lines if line["kind"] == "verdict"]


def grades(out):
    with (out / "grades.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_after_more_than_twenty_kills_nothing_is_lost_and_nothing_was_graded_twice(tmp_path):
    place, whole, out = class_of(tmp_path / "submissions", 48), tmp_path / "whole", tmp_path / "out"
    subprocess.run(command(place, whole), env=environment(tmp_path), check=True, capture_output=True)
    chance, kills, seen = random.Random(0), 0, 0
    for _ in range(80):
        process = subprocess.Popen(command(place, out), env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = seen
        deadline = time.monotonic() + 60         # let it get somewhere, then kill it at any moment: in a check, a write, a report
        while process.poll() is None and seen <= before and kills < 21 and time.monotonic() < deadline:
            time.sleep(0.01)
            seen = len(verdicts(out)) if (out / "journal.jsonl").exists() else 0
        if kills >= 21:
            assert process.wait(120) == 0
            break
        time.sleep(chance.uniform(0, 0.4) ** 2)
        if process.poll() is not None:           # it was done before it could be killed: the next must not find everything graded
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        assert gone(tmp_path), "processes outlived the grader"
    else:
        pytest.fail("it never came to an end")
    if kills < 21:
        subprocess.run(command(place, out), env=environment(tmp_path), check=True, capture_output=True)
    assert kills >= 20, f"only {kills} kills found it at work: it needs more students"
    assert grades(out) == grades(whole)
    counted = Counter(verdicts(out))
    assert len(counted) == 48 * 4 and set(counted.values()) == {1}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.parametrize("sent, code, said", [(signal.SIGINT, 130, "the same command goes on from there"),
                                              pytest.param(signal.SIGTERM, 143, "the same command goes on from there", marks=pytest.mark.slow)])
def test_ctrl_c_and_sigterm_end_it_cleanly_with_the_exit_codes_that_a_shell_expects(sent, code, said, tmp_path):
    place, out = class_of(tmp_path / "submissions", 5), tmp_path / "out"
    process = subprocess.Popen(command(place, out, "--workers", "1"), env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    deadline = time.monotonic() + 60
    while process.poll() is None and not ((out / "journal.jsonl").exists() and verdicts(out)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(marked(tmp_path)) >= 2, "the mark doesn't reach the processes that it should find"
    process.send_signal(sent)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert said in told and "Traceback" not in told
    assert gone(tmp_path), "processes outlived the grader"
