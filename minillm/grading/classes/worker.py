"""One of the grader's processes: it grades one exercise of one student at a time, each in a fresh sandbox, and answers on its pipe.

    in    a line of JSON: {"secret": …, "sandbox": …}; then one for each task: {"student", "exercise", "source", "known", …}
    out   a line of JSON for each task: {"verdicts": [...], "seconds": …} or {"failure": "…"}

It ends when its input does, also in the middle of a task: whoever kills the grader leaves nothing running.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field

from ...exercises import load
from ...exercises.variants import variant
from .. import checking
from ..checking import Verdict
from ..nurseries import Sandbox


@dataclass(frozen=True)
class Task:
    """`submission`: the hash of the file that `source` is. `known`: checks that are graded already, with their verdicts."""
    student: str
    exercise: str
    source: str
    submission: str = ""
    known: dict[str, dict] = field(default_factory=dict)
    variant: bool = False                        # the class was asked what its secret draws


def perform(task: Task, secret: bytes, tier: str) -> list[Verdict]:
    """The verdicts of all checks that aren't known yet."""
    known = {check: Verdict(**{"exercise": task.exercise, "check": check, **told}) for check, told in task.known.items()}
    exercise = variant(task.exercise, secret) if task.variant else load(task.exercise)
    verdicts = checking.run(exercise, task.source, secret, task.student, sandbox=Sandbox(tier), known=known)
    return [verdict for verdict in verdicts if verdict.check not in known]


def attempted(task: Task, secret: bytes, tier: str) -> dict:
    """The answer to a task. What goes wrong in here is the grader's fault, never the student's."""
    began = time.perf_counter()
    try:
        return {"verdicts": [asdict(verdict) for verdict in perform(task, secret, tier)], "seconds": time.perf_counter() - began}
    except Exception as bug:
        where = traceback.extract_tb(bug.__traceback__)[-1]
        return {"failure": f"{type(bug).__name__}: {bug} ({os.path.basename(where.filename)}:{where.lineno})"}


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                                # whatever prints must not reach the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)                 # Ctrl-C is the parent's business
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))      # an exception, so that the student's process is ended on the way out
    waiting: queue.Queue = queue.Queue()
    busy = threading.Event()

    def listen() -> None:
        for line in sys.stdin.buffer:
            waiting.put(json.loads(line))
        waiting.put(None)
        if busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()
    settings = waiting.get()
    while settings and (told := waiting.get()):
        busy.set()
        answer = attempted(Task(**told), bytes.fromhex(settings["secret"]), settings["sandbox"])
        replies.write(json.dumps(answer) + "\n")
        replies.flush()
        busy.clear()


if __name__ == "__main__":
    main()
