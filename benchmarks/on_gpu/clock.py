"""Seconds on the GPU.

The host orders work, the GPU does it later: what lies between two events on the GPU's stream is the GPU's time only if the GPU never
has to wait for the host in between. So before the first event a kernel keeps it busy for as long as the host needs to order everything:

    spin … | event | work work work work | event

If the spinning was over before the host was done, it is tried again with a longer spin; a result that the host may still have had a part
in is marked. PyTorch and CuPy are given the same stream (the default one), the same events, and turns.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

SPIN = r"""
extern "C" __global__ void spin(long long cycles) {
    long long began = clock64();
    while (clock64() - began < cycles) {}
}"""
CYCLES = 2e9        # a second, at most
LONGEST = 0.2       # seconds of spinning
ENOUGH = 0.004      # seconds of work between the events
MOST = 100          # calls between them: the queue to the GPU holds about a thousand launches


class Time(NamedTuple):
    seconds: float          # of one call, the median over the rounds
    spread: float           # (third quartile − first) / median
    rounds: int
    host: bool              # the GPU may have waited for the host


class Clock:
    def __init__(self, place: Any):
        self.place, self.cuda = place, place.xp.cuda
        self.spin = None if place.rehearsal else place.xp.RawKernel(SPIN, "spin")

    def times(self, works: dict[str, Callable[[], Any]], seconds: float = 1.5, rounds: int = 15) -> dict[str, Time]:
        """Each work's time. They take turns, in both orders, until the seconds are spent or all rounds done."""
        end, rounds = time.monotonic() + seconds, self.place.size(rounds, 3)
        counts = {name: self.warmed_up(work) for name, work in works.items()}
        seen: dict[str, list] = {name: [] for name in works}
        for turn in range(rounds):
            if turn >= 3 and time.monotonic() > end:
                break
            for name in list(works)[::1 if turn % 2 else -1]:
                seen[name].append(self.once(works[name], *counts[name]))
        return {name: summary(each) for name, each in seen.items()}

    def warmed_up(self, work: Callable[[], Any]) -> tuple[int, float]:
        """(how many calls make up enough time, how long the host takes to order one)."""
        for _ in range(2):
            work()
        self.place.wait()
        began = time.perf_counter()
        work()
        ordered = time.perf_counter() - began
        self.place.wait()
        both = time.perf_counter() - began
        return max(1, min(MOST, round(ENOUGH / both))), ordered

    def once(self, work: Callable[[], Any], count: int, ordered: float) -> tuple[float, bool]:
        """(seconds of a call, whether the host may have had a part in it)."""
        spin = min(LONGEST, 1.5 * count * ordered + 0.0005)
        while True:
            began, ended = self.cuda.Event(), self.cuda.Event()
            if self.spin is not None:
                self.spin((1,), (1,), (int(spin * CYCLES),))
            began.record()
            for _ in range(count):
                work()
            late = self.spin is not None and bool(began.done)        # the spinning is over, and the host has only now ordered everything
            ended.record()
            ended.synchronize()
            if not late or spin >= LONGEST:
                return self.cuda.get_elapsed_time(began, ended) / 1e3 / count, late
            spin = min(LONGEST, 3 * spin)


def summary(seen: list[tuple[float, bool]]) -> Time:
    seconds = [each for each, _ in seen]
    median = statistics.median(seconds)
    first, _, third = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (median,) * 3
    return Time(median, (third - first) / median if median else 0.0, len(seconds), sum(late for _, late in seen) > len(seen) / 2)
