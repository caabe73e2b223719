"""Work spread over processes: the same results in the same order, whatever their number."""

import contextlib
import gc
import multiprocessing
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import resource_tracker
from typing import Any

from tqdm import tqdm

from minillm.arrays import num_threads

_shared: Any = None          # in a worker: what every task needs


class Bar(tqdm):
    """A progress bar without the thread that tqdm starts to watch over it: beside a thread, no worker can be forked."""

    monitor_interval = 0


def spread(function: Callable[[Any, Any], Any], shared: Any, tasks: Iterable[Any], processes: int | None = None) -> Iterator[Any]:
    """function(shared, task) for each task, in order. No more than two tasks a process are taken from `tasks` in advance.

    `function` must be a module's function. With one process (None: as many as there are cores), or one task, nothing is started."""
    processes = num_threads() if processes is None else processes
    if processes < 1:
        raise ValueError(f"The number of processes must be 1 or more, not {processes}.")
    tasks = iter(tasks)
    first = list(islice(tasks, 2))
    tasks = chain(first, tasks)
    if processes == 1 or len(first) < 2:
        yield from (function(shared, task) for task in tasks)
        return
    waiting: deque = deque()
    method = _start_method()
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context(method), _begin, (shared,))
    try:
        with _quiet_start(method):
            for task in islice(tasks, 2 * processes):
                waiting.append(pool.submit(_run, function, task))
        while waiting:
            yield waiting.popleft().result()
            with _quiet_start(method):                       # it may start a worker that was not needed so far
                for task in islice(tasks, 1):
                    waiting.append(pool.submit(_run, function, task))
    except BrokenProcessPool:
        raise OSError("A worker process was killed, perhaps because memory ran out. Fewer processes need less of it.") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_method() -> str:
    """Forking is quick and shares memory, but a process with several Python threads may fork while one holds a lock."""
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"


@contextlib.contextmanager
def _quiet_start(method: str) -> Iterator[None]:
    """Starts workers that leave the calling script alone: spawned ones would run it again, and need nothing from it.
    Python warns of forking beside any thread; those of BLAS, all that is left here, are never used by the workers.
    Ctrl-C is held back meanwhile, and so for good in the workers, who inherit that: to stop them is the parent's business."""
    if method == "spawn":
        resource_tracker.ensure_running()                    # which would let Ctrl-C through again, if it were started later
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main = sys.modules["__main__"]
    hidden = {name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__}
    main.__spec__ = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            yield
    finally:
        main.__dict__.update(hidden)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _begin(shared: Any) -> None:
    global _shared
    _shared = shared
    gc.freeze()                                              # to look through what was forked would make copies of its pages


def _run(function: Callable[[Any, Any], Any], task: Any) -> Any:
    return function(_shared, task)
