"""The folder of a run: claimed by one process at a time, and able to hold what the run will write."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def claimed(run: Path) -> Iterator[None]:
    """Holds RUN/lock while the run is written to. The lock is the operating system's, so it is gone when the process is, however it ended."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / "lock").open("a+")
    except OSError as problem:
        raise OSError(f"{run} can't be written to ({problem.strerror}). Choose another folder for the run.") from None
    with lock:
        try:
            import fcntl
        except ImportError:                      # not on Unix: no lock
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ValueError(f"{run} is being trained by another process ({lock.read().strip() or 'its number is unknown'}). "
                             "Wait for it, or choose another folder.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}\n")
        lock.flush()
        yield


def require_space(run: Path, num_numbers: int, checkpoints: int, with_ema: bool) -> None:
    """A sentence, before hours of training, if the disk can't hold the checkpoints: weights, m, v (and the average), in float32."""
    one = 4 * num_numbers * (4 if with_ema else 3)
    needed, free = one * checkpoints, shutil.disk_usage(run).free
    if needed > free:
        raise ValueError(f"{run} has {free / 1e9:.1f} GB free, but {checkpoints} checkpoints of {one / 1e9:.1f} GB need {needed / 1e9:.1f} GB. "
                         "Free some space, keep fewer checkpoints, or choose another disk.")
