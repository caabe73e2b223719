"""The live board: how far the grading is, when it will be done, what is under way."""

import shutil
import sys
import time
from collections import Counter
from typing import Any

from .pool import Done
from .worker import Task

WIDTH = 30


class Board:
    """Told every event of a run, it keeps count; `lines` is what to show."""

    def __init__(self, clock=time.monotonic):
        self.clock, self.began = clock, clock()
        self.tasks, self.done, self.failed = 0, 0, 0
        self.running: dict[tuple[str, str], float] = {}
        self.states: Counter[str] = Counter()

    def take(self, event: int | Task | Done) -> None:
        if isinstance(event, int):
            self.tasks, self.began = event, self.clock()
        elif isinstance(event, Task):
            self.running[event.student, event.exercise] = self.clock()
        else:
            self.running.pop((event.task.student, event.task.exercise), None)
            self.done += 1
            self.failed += len(event.failures)
            self.states.update(verdict.status for verdict in event.verdicts)

    def remaining(self) -> float | None:
        """Seconds, if the rest goes as what is done went."""
        return (self.clock() - self.began) / self.done * (self.tasks - self.done) if self.done >= 3 else None

    def line(self) -> str:
        left = self.remaining()
        when = f", {span(left)} left" if left is not None and self.done < self.tasks else ""
        states = ", ".join(f"{self.states[state]:,} {state}" for state in ("passed", "failed", "not reached", "not started") if self.states[state])
        failed = f", {self.failed} failures of the grader" if self.failed else ""
        return f"{self.done:,} of {self.tasks:,} exercises graded{when}" + (f": {states}{failed}" if states or failed else "")

    def lines(self) -> list[str]:
        filled = WIDTH * self.done // max(self.tasks, 1)
        slow = sorted(self.running.items(), key=lambda item: item[1])[:6]
        return [f"{'━' * filled}{'─' * (WIDTH - filled)} {self.line()}",
                "now: " + ", ".join(f"{student} {exercise}" for (student, exercise), _ in slow) if slow else ""]


class Screen:
    """Shows a board: in a terminal two lines that change, elsewhere a plain line for each tenth of the way and every minute."""

    def __init__(self, board: Board, out: Any = None):
        self.board, self.out = board, out or sys.stderr
        self.live = self.out.isatty()
        self.drawn, self.told, self.last = 0, -1, board.clock()

    def __call__(self, event: int | Task | Done) -> None:
        self.board.take(event)
        if self.live:
            self.draw(self.board.lines())
        elif isinstance(event, Done):
            tenth = 10 * self.board.done // self.board.tasks
            if tenth > self.told or self.board.clock() - self.last > 60:
                self.told, self.last = tenth, self.board.clock()
                print(self.board.line(), file=self.out, flush=True)

    def draw(self, lines: list[str]) -> None:
        width = shutil.get_terminal_size().columns - 1
        up = f"\033[{self.drawn}F" if self.drawn else ""
        self.out.write(up + "".join(f"\033[K{line[:width]}\n" for line in lines))
        self.out.flush()
        self.drawn = len(lines)

    def close(self) -> None:
        """Leaves the last count, without what was under way."""
        if self.live and self.drawn:
            self.draw([self.board.lines()[0], ""])
            self.out.write("\033[F")


def span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
