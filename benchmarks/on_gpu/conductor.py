"""Runs the parts one after another, each in a process of its own, so that a kernel that breaks the card's context, or hangs, costs one
measurement and not the rest. This process never touches the GPU.

A part has a share of the time; what it leaves, or takes too much, is the next one's gain or loss. Its process is told how many seconds it has, and looks after
that itself; a measurement that takes longer than it said it could is ended from here, and the part goes on behind it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .child import BROKEN
from .results import LOG, Results

ROOT = Path(__file__).resolve().parents[2]
LEAST = 10          # seconds that a part gets, however late it is
GRACE = 8           # seconds that a part may overrun before it is ended
MOST_DEATHS = 6     # of a part's processes; then the part is given up


class Part(NamedTuple):
    name: str
    seconds: float      # its share; of the last one, the least
    folder: str = "benchmarks.on_gpu"

    @property
    def module(self) -> str:
        return f"{self.folder}.{self.name}"


PARTS = [Part("machine", 45), Part("kernels", 105), Part("training", 180), Part("profile", 20), Part("decoding", 50), Part("real_run", 45)]


def conduct(out: Path, minutes: float, rehearsal: bool, only: list[str], after: Callable[[], None]) -> None:
    """Runs the parts. after: called after each."""
    began, total = time.monotonic(), 60 * minutes
    chosen = [part for part in PARTS if not only or part.name in only]
    scale = min(1.0, total / sum(part.seconds for part in chosen))           # less time than all shares together: each gets less
    for number, part in enumerate(chosen):
        later = scale * sum(each.seconds for each in chosen[number + 1:])
        seconds = max(LEAST, total - later - (time.monotonic() - began))
        print(f"{part.name}: up to {seconds:.0f} s", file=sys.stderr, flush=True)
        try:
            run(part, out, seconds, rehearsal)
        finally:
            after()


def run(part: Part, out: Path, seconds: float, rehearsal: bool) -> None:
    """One part, in as many processes as it takes."""
    results, end = Results(out, part.name), time.monotonic() + seconds
    for _ in range(MOST_DEATHS):
        left, began = end - time.monotonic(), time.time()
        if left < 3:
            return
        code = watched(part, out, left, results, rehearsal)
        if code == 0:
            return
        if (running := results.running(began)) is not None:
            results.write(running["name"], failed=f"its process ended: {code}")
        elif code != BROKEN:
            results.write("this part", failed=f"its process ended: {code}; see {LOG}")
            return
    results.write("this part", failed=f"given up after {MOST_DEATHS} processes; see {LOG}")


def watched(part: Part, out: Path, seconds: float, results: Results, rehearsal: bool) -> int | str:
    """0, or an exit status, or in words why it was ended."""
    command = [sys.executable, "-m", "benchmarks.on_gpu.child", part.module, str(out), f"{seconds:.1f}", *["--rehearse"] * rehearsal]
    end, began = time.monotonic() + seconds + GRACE, time.time()
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if rehearsal else {}     # several processes rehearse on few cores
    with (out / LOG).open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | threads,
                                   start_new_session=True)
    try:
        while (code := process.poll()) is None:
            running = results.running(began)
            if running is not None and time.time() - running["begun"] > running["limit"]:
                return f"it took longer than {running['limit']:.0f} s"
            if time.monotonic() > end:
                return "the time of its part was up"
            time.sleep(0.1)
        return signal.Signals(-code).name if code < 0 else code
    finally:
        with_all_that_it_started(process)


def with_all_that_it_started(process: subprocess.Popen) -> None:
    """Ends it and its own children, which are a session of theirs."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
