"""Processes that grade: whoever of them dies or hangs is replaced, and nothing outlives the grader."""

import os
import signal
import sys
import textwrap
import time
from dataclasses import asdict

import pytest
from minillm.grading import sandbox
from minillm.grading.classes import pool, worker
from minillm.grading.classes.pool import Done
from minillm.grading.classes.worker import Task

TIER = sandbox.best().tier

SOLUTION = """
import numpy as np
def forward(x, w, eps=1e-5):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x * r * w, None
"""

# A worker that does what the source says, and counts its tasks in a file.
PLAYER = """
    import json, os, sys, time
    settings = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        task = json.loads(line)
        with open({record!r}, "a") as file:
            file.write(f"{{os.getpid()}} {{task['student']}} {{','.join(sorted(task['known']))}}\\n")
        word, *rest = task["source"].split()
        if word == "dies" or word == "dies-once" and open({record!r}).read().count(f" {{task['student']}} ") == 1:
            print("out of memory", file=sys.stderr)
            os._exit(9)
        if word == "hangs":
            time.sleep(60)
        if word == "raves":
            print("this is no JSON", flush=True)
            continue
        checks = [check for check in ("forward", "extremes", "backward", "reuse") if check not in task["known"]]
        print(json.dumps({{"verdicts": [dict(exercise="rmsnorm", check=check, status="passed") for check in checks], "seconds": 0.5}}), flush=True)
"""


@pytest.fixture
def player(tmp_path, monkeypatch):
    """Runs tasks with the player in place of a worker; gives what was done and the record."""
    record = tmp_path / "record"
    monkeypatch.setattr(pool, "COMMAND", [sys.executable, "-c", textwrap.dedent(PLAYER.format(record=str(record)))])

    def play(sources, workers=2):
        tasks = [Task(f"s{i}", "rmsnorm", source) for i, source in enumerate(sources)]
        events = list(pool.run(tasks, b"secret", TIER, workers))
        done = {event.task.student: event for event in events if isinstance(event, Done)}
        assert len(events) == 2 * len(tasks) and len(done) == len(tasks)
        return done, [line.split(" ") for line in record.read_text().splitlines()]
    return play


def alive(number):
    """A zombie, whose parent has yet to look, is not."""
    return stats(number) is not None and stats(number)[0] != "Z" if os.path.isdir("/proc/self") else not gone(number)


def gone(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_every_task_is_done_once_by_as_many_processes_as_were_asked_for(player):
    done, record = player(["fine"] * 12, workers=3)
    assert all(len(each.verdicts) == 4 and not each.failures for each in done.values())
    assert sorted(student for _, student, _ in record) == sorted(done)
    numbers = {int(number) for number, _, _ in record}
    assert 1 <= len(numbers) <= 3
    assert not any(map(alive, numbers)), "a process outlived the grader"


def test_a_worker_that_dies_is_replaced_and_its_task_tried_once_more(player):
    done, record = player(["fine", "dies-once", "fine", "fine"])
    assert all(len(each.verdicts) == 4 and not each.failures for each in done.values())
    assert [student for _, student, _ in record].count("s1") == 2


def test_whoever_brings_two_workers_down_is_listed_and_the_others_are_graded(player):
    done, record = player(["dies", "fine", "raves", "fine"])
    assert set(done["s0"].failures) == {"forward", "extremes", "backward", "reuse"} and not done["s0"].verdicts
    assert "exit code 9: out of memory" in done["s0"].failures["forward"]
    assert done["s2"].failures and [student for _, student, _ in record].count("s2") == 2
    assert all(len(done[student].verdicts) == 4 for student in ("s1", "s3"))


def test_a_worker_that_hangs_is_ended(player, monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE", 0.5 - 3 * 15 * 4)
    done, record = player(["hangs", "fine"])
    assert done["s0"].failures and len(done["s1"].verdicts) == 4
    assert not any(alive(int(number)) for number, _, _ in record)


def test_who_stops_reading_stops_the_workers(tmp_path, monkeypatch):
    record = tmp_path / "record"
    monkeypatch.setattr(pool, "COMMAND", [sys.executable, "-c", textwrap.dedent(PLAYER.format(record=str(record)))])
    events = pool.run([Task(f"s{i}", "rmsnorm", "fine" if i < 2 else "hangs") for i in range(20)], b"secret", TIER, 2)
    seen = 0
    while seen < 2:
        seen += isinstance(next(events), Done)
    events.close()
    lines = record.read_text().splitlines()
    assert len(lines) <= 4, "tasks were begun after the end"
    assert not any(alive(int(line.split()[0])) for line in lines)


def test_a_number_of_workers_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be 0 or more, not -1"):
        list(pool.run([Task("s", "rmsnorm", "")], b"secret", TIER, -1))


def test_only_what_is_not_judged_is_asked_again():
    asked = []

    def ask(task):
        asked.append(sorted(task.known))
        status = "error" if len(asked) == 1 else "passed"
        return {"verdicts": [dict(exercise="rmsnorm", check="forward", status="failed"),
                             dict(exercise="rmsnorm", check="extremes", status=status, message="m"),
                             dict(exercise="rmsnorm", check="backward", status="not reached")], "seconds": 1.0}

    done = pool.tried(Task("s", "rmsnorm", "", "", {"reuse": {}}), ask)
    assert asked == [["reuse"], ["backward", "forward", "reuse"]]
    assert not done.failures and {each.check: each.status for each in done.verdicts}["extremes"] == "passed" and done.seconds == 2.0


def test_a_bug_of_the_grader_is_a_failure_and_not_a_verdict(monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError("oh")
    monkeypatch.setattr(worker.checking, "run", broken)
    answer = worker.attempted(Task("s", "rmsnorm", ""), b"secret", TIER)
    assert answer["failure"].startswith("ZeroDivisionError: oh (test_pool.py:")
    [_, done] = pool.run([Task("s", "rmsnorm", "")], b"secret", TIER, 0)
    assert len(done.failures) == 4 and not done.verdicts


def test_real_workers_give_the_verdicts_of_this_process():
    tasks = [Task("ada", "rmsnorm", SOLUTION), Task("bob", "rmsnorm", "raise NotImplementedError('rmsnorm.forward')")]
    def verdicts(workers):
        return {event.task.student: event.verdicts for event in pool.run(tasks, b"secret of sixteen", TIER, workers) if isinstance(event, Done)}
    here = verdicts(0)
    assert verdicts(2) == here
    assert [each.status for each in here["ada"]] == ["passed", "passed", "failed", "not reached"]
    assert {each.status for each in here["bob"]} == {"not started"}


def test_a_worker_whose_parent_is_gone_ends_in_the_middle_of_a_task_and_so_does_the_students_process():
    parent = pool.Worker(b"secret of sixteen", TIER)
    parent.start()
    parent.send(asdict(Task("ada", "rmsnorm", "while True:\n    pass\n")))
    below = eventually(lambda: [number for number in descendants(parent.process.pid) if cpu(number) > 0.3])       # the endless loop
    assert below, "the student's function never ran"
    everyone = descendants(parent.process.pid)
    parent.process.stdin.close()                                  # as when the parent is killed
    assert parent.process.wait(20) in (143, -signal.SIGTERM)
    parent.close()
    assert eventually(lambda: not any(map(alive, everyone))), "a process outlived its grader"


def eventually(condition, seconds=20):
    """What the condition gives as soon as it holds, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def stats(number):
    """/proc/N/stat behind the name: state, parent, …"""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def descendants(number):
    if not os.path.isdir("/proc/self"):
        pytest.skip("there is no /proc to look for processes in")
    parents = {int(name): int(found[1]) for name in os.listdir("/proc") if name.isdigit() and (found := stats(name))}
    found, waiting = [], [number]
    while waiting:
        below = [child for child, parent in parents.items() if parent == waiting[0]]
        waiting = waiting[1:] + below
        found += below
    return found


def cpu(number):
    found = stats(number)
    return int(found[11]) / os.sysconf("SC_CLK_TCK") if found else 0.0
