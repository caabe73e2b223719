"""The live board: counts, an estimate, and plain lines where there is no terminal."""

import io

import pytest
from minillm.grading.checking import Verdict
from minillm.grading.classes.board import Board, Screen, span
from minillm.grading.classes.pool import Done
from minillm.grading.classes.worker import Task


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def play(screen, clock, count, seconds=2.0, failures=0):
    screen(count)
    for i in range(count):
        task = Task(f"s{i}", "rmsnorm", "")
        screen(task)
        clock.now += seconds
        screen(Done(task, [Verdict("rmsnorm", "forward", "passed"), Verdict("rmsnorm", "reuse", "failed")],
                    dict.fromkeys(map(str, range(failures)), "x"), seconds))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_estimate_is_what_is_left_at_the_pace_so_far():
    clock = Clock()
    board = Board(clock)
    board.take(100)
    for i in range(10):
        clock.now += 2
        board.take(Done(Task(f"s{i}", "rmsnorm", ""), [], {}, 2.0))
    assert board.remaining() == pytest.approx(180)
    assert "10 of 100 exercises graded, 3 min left" in board.line()


def test_without_a_terminal_it_writes_a_plain_line_for_each_tenth():
    clock, out = Clock(), io.StringIO()
    play(Screen(Board(clock), out), clock, 200, 0.1)
    lines = out.getvalue().splitlines()
    assert 10 <= len(lines) <= 13 and "\033" not in out.getvalue()
    assert lines[-1] == "200 of 200 exercises graded: 200 passed, 200 failed"


def test_without_a_terminal_a_slow_run_still_says_something_every_minute():
    clock, out = Clock(), io.StringIO()
    play(Screen(Board(clock), out), clock, 100, 40.0)
    assert len(out.getvalue().splitlines()) >= 50


def test_in_a_terminal_two_lines_change_and_say_what_is_under_way():
    clock, out = Clock(), Terminal()
    screen = Screen(Board(clock), out)
    screen(3)
    screen(Task("ada", "rope", ""))
    assert out.getvalue().splitlines()[-1].endswith("now: ada rope")
    screen(Done(Task("ada", "rope", ""), [], {}, 1.0))
    screen.close()
    assert out.getvalue().count("\033[2F") == 3
    assert all(len(line) < 100 for line in out.getvalue().splitlines())


def test_failures_of_the_grader_are_counted_and_shown():
    clock, out = Clock(), io.StringIO()
    play(Screen(Board(clock), out), clock, 3, failures=2)
    assert out.getvalue().splitlines()[-1].endswith("3 passed, 3 failed, 6 failures of the grader")


@pytest.mark.parametrize("seconds, text", [(5, "5 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (7300, "2 h 02 min")])
def test_spans_are_said_as_people_say_them(seconds, text):
    assert span(seconds) == text
