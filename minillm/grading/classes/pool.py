"""Tasks spread over worker processes. A worker that dies or hangs is replaced, and its task tried once more: a student who brings a
process of ours down, or a machine that runs out of memory, costs nobody a point."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...exercises import load
from ..caller import Limits
from ..checking import Verdict
from . import worker
from .worker import Task

TRIES = 2
PATIENCE = 60.0                                  # seconds beyond what an exercise may take: then the worker hangs
PACKAGE = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", worker.__name__]


@dataclass(frozen=True)
class Done:
    """`failures`: for each check that the grader couldn't judge, why."""
    task: Task
    verdicts: list[Verdict]
    failures: dict[str, str]
    seconds: float


def run(tasks: Sequence[Task], secret: bytes, tier: str, workers: int = 1) -> Iterator[Task | Done]:
    """Yields each task when it begins and again when it is done. With 0 workers everything happens in this process."""
    if workers < 0:
        raise ValueError(f"The number of workers must be 0 or more, not {workers}.")
    if workers == 0:
        for task in tasks:
            yield task
            yield tried(task, lambda task: worker.attempted(task, secret, tier))
        return
    waiting: queue.Queue[Task] = queue.Queue()
    for task in tasks:
        waiting.put(task)
    events: queue.Queue[Task | Done | BaseException] = queue.Queue()
    processes = [Worker(secret, tier) for _ in range(min(workers, len(tasks)))]
    threads = [threading.Thread(target=serve, args=(process, waiting, events)) for process in processes]
    try:
        for thread in threads:
            thread.start()
        for _ in range(2 * len(tasks)):
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:                                     # done, or Ctrl-C, or whoever read the events stopped reading
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()
        for process in processes:
            process.stop()
        for thread in threads:
            thread.join()


def serve(process: "Worker", waiting: queue.Queue, events: queue.Queue) -> None:
    try:
        while True:
            task = waiting.get_nowait()
            events.put(task)
            events.put(tried(task, process.ask))
    except queue.Empty:
        pass
    except BaseException as bug:                 # the main thread must hear of it, or wait forever
        events.put(bug)
    finally:
        process.close()


def tried(task: Task, ask) -> Done:
    """Once more, if the grader itself failed: with what it could not judge alone."""
    verdicts, seconds, known = {}, 0.0, dict(task.known)
    checks = [check.name for check in load(task.exercise).checks]
    for _ in range(TRIES):
        answer = ask(replace(task, known=known))
        seconds += answer.get("seconds", 0.0)
        failures = dict.fromkeys((check for check in checks if check not in known), answer.get("failure", "It gave no verdict."))
        for told in answer.get("verdicts", []):
            verdict = Verdict(**told)
            if verdict.status == "error":
                failures[verdict.check] = verdict.message
            else:
                failures.pop(verdict.check, None)
                verdicts[verdict.check] = verdict
                known[verdict.check] = told
        if not failures:
            break
    return Done(task, [verdicts[check] for check in checks if check in verdicts], failures, seconds)


class Worker:
    """The parent's end of one worker: started when it is first asked, and again when it has died."""

    def __init__(self, secret: bytes, tier: str):
        self.settings = {"secret": secret.hex(), "sandbox": tier}
        self.process: subprocess.Popen | None = None
        self.stopped = False
        self.lock = threading.Lock()

    def start(self) -> None:
        with self.lock:
            if self.stopped:
                raise OSError("stopped")
            self.errors = tempfile.TemporaryFile()
            environment = os.environ | {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PACKAGE), environment.get("PYTHONPATH"))))
            self.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                            env=environment, start_new_session=True)      # Ctrl-C reaches us, not them
        self.send(self.settings)

    def send(self, told: dict) -> None:
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, task: Task) -> dict:
        """The worker's answer, or in what way it failed."""
        exercise = load(task.exercise)
        watch = threading.Timer(PATIENCE + 3 * Limits(exercise.seconds).wall * len(exercise.checks), self.kill)
        try:
            if self.process is None:
                self.start()
            watch.start()
            self.send(asdict(task))
            answer = self.process.stdout.readline()
            if answer:
                return json.loads(answer)
            said = self.last_words()
        except (OSError, ValueError) as problem:
            said = str(problem)
        finally:
            watch.cancel()
        self.close()
        return {"failure": f"The grader's process gave no answer ({said})."}

    def last_words(self) -> str:
        code = self.process.wait(10)
        self.errors.seek(0)
        said = self.errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return f"exit code {code}{': ' + said[-1] if said else ''}"

    def kill(self) -> None:
        """Politely first: the worker then ends the student's process, too. Any thread may do this."""
        process = self.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """From now on it is started no more."""
        with self.lock:
            self.stopped = True
        self.kill()

    def close(self) -> None:
        """What belongs to the process goes with it. Only the thread that asks does this."""
        if self.process is None:
            return
        self.kill()
        for file in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(OSError):
                file.close()
        self.process = None
