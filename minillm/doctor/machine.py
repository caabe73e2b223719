"""The interpreter, the operating system, cores, memory and the current folder."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .finding import ABSENT, FAIL, GIB, OK, Finding, gib

SYSTEM_FILES = Path("/")                         # where proc/ and sys/ are found


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):
        return Finding(FAIL, f"Python {version} is too old: minillm needs 3.11 or newer",
                       "install a newer Python, then make a new environment with it: python3.12 -m venv .venv")
    return Finding(OK, f"Python {version} in {sys.prefix}")


def operating_system() -> Finding:
    system, machine = platform.system(), platform.machine()
    where = f"{system} {platform.release()} on {machine}"
    if system == "Windows":
        return Finding(FAIL, f"{where}: minillm doesn't run on Windows itself",
                       "use WSL2: run `wsl --install` in PowerShell as administrator, restart, and install minillm in the Ubuntu it gives you")
    if system == "Linux" and machine in ("x86_64", "AMD64"):
        return Finding(OK, where + (" (in WSL2)" if "microsoft" in platform.release().lower() else ""))
    if (system, machine) in [("Linux", "aarch64"), ("Linux", "arm64"), ("Darwin", "arm64"), ("Darwin", "x86_64")]:
        return Finding(OK, f"{where}: supported, but the tests are run on Linux x86-64 only")
    return Finding(ABSENT, f"{where}: nobody has tried minillm there",
                   "run the tests (make test) before you trust it; Linux (x86-64, arm64) and macOS are meant to work")


def cores() -> Finding:
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:                       # macOS
        usable = os.cpu_count() or 1
    limit = cpu_limit()
    what = f"{usable} CPU core{'s' * (usable != 1)} usable" + (f" of {os.cpu_count()}" if usable != os.cpu_count() else "")
    if limit is not None and limit < usable:
        fitting = max(1, int(limit))
        return Finding(ABSENT, f"{what}, but a cgroup (a container's limit) grants the time of {limit:.3g}",
                       f"set MINILLM_THREADS={fitting} in the environment, so that threads don't wait for each other")
    return Finding(OK, what)


def memory() -> Finding:
    total, available = memory_sizes()
    limit, used = memory_limit()
    what = f"memory: {gib(total)}" + ("" if available is None else f", {gib(available)} of it available")
    if limit is not None and limit < total:
        what += f"; a cgroup (a container's limit) allows {gib(limit)}, of which {gib(used)} are used, the system's file cache included"
        available = limit if available is None else min(limit, available)
    if available is not None and available < 2 * GIB:
        return Finding(ABSENT, what, "that is little: close other programs, and begin with the smallest presets")
    return Finding(OK, what)


def memory_sizes() -> tuple[int, int | None]:
    """Bytes: total, and available where the system tells."""
    table = SYSTEM_FILES / "proc/meminfo"
    if not table.exists():                       # macOS
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    entries = dict(line.split(":") for line in table.read_text().splitlines())
    kib = {name: int(entry.split()[0]) for name, entry in entries.items() if name in ("MemTotal", "MemAvailable")}
    return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024 if "MemAvailable" in kib else None


def cgroup_folders(controller: str) -> Iterator[Path]:
    """The folders whose limits hold for this process: its own cgroup and all around it (version 2, or version 1's tree)."""
    membership = SYSTEM_FILES / "proc/self/cgroup"
    for line in membership.read_text().splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", controller) and controller not in controllers.split(","):
            continue
        root = SYSTEM_FILES / "sys/fs/cgroup" / controllers
        own = Path(path.lstrip("/"))
        yield from (root / folder for folder in [own, *own.parents])


def numbers(path: Path) -> list[int] | None:
    """The numbers in a cgroup's file; None if there is no file, or it sets no limit."""
    words = path.read_text().split() if path.is_file() else ["max"]
    return None if "max" in words else [int(word) for word in words]


def cpu_limit() -> float | None:
    """Cores' worth of time that the cgroups grant."""
    limits = []
    for folder in cgroup_folders("cpu"):
        both = numbers(folder / "cpu.max")                                   # version 2: "quota period"
        quota, period = numbers(folder / "cpu.cfs_quota_us"), numbers(folder / "cpu.cfs_period_us")
        if both:
            limits.append(both[0] / both[1])
        elif quota and period and quota[0] > 0:
            limits.append(quota[0] / period[0])
    return min(limits, default=None)


def memory_limit() -> tuple[int | None, int]:
    """Bytes: the narrowest limit of the cgroups, and what is used of it."""
    limits = []
    for folder in cgroup_folders("memory"):
        for limit, used in [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")]:
            if found := numbers(folder / limit):
                limits.append((found[0], (numbers(folder / used) or [0])[0]))
    return min(limits, default=(None, 0))


def folder() -> Finding:
    here = os.getcwd()
    free = shutil.disk_usage(here).free
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as problem:
        return Finding(ABSENT, f"the current folder {here} can't be written to ({problem.strerror})",
                       "change to a folder of your own before you train: runs are written below the current folder")
    what = f"the current folder {here} can be written to, {gib(free)} free on its disk"
    if free < 2 * GIB:
        return Finding(ABSENT, what, "make room: a run with its checkpoints and data takes from 0.1 GiB to many")
    return Finding(OK, what)
