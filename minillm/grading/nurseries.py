"""The grader's end of a nursery (nursery.py): started once per process and tier when first needed, gone when we are."""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
INSIDE = ("nursery.py", "child.py", "wire.py", "confine.py", "seccomp.py")
PATIENCE = 60.0                                                   # seconds for Python to start with NumPy, on a busy machine


@dataclass(frozen=True)
class Sandbox:
    """How children are kept: see sandbox.py, which finds out what this machine can do."""
    tier: str


class Trouble(OSError):
    """The grader's own failure: it says nothing about the student."""


def python() -> list[str]:
    """The interpreter itself (not a virtual environment's link to it), without site packages, user settings or files written."""
    return [os.path.realpath(sys.executable), "-s", "-S", "-B", "-P"]


def environment() -> dict[str, str]:
    """Nothing of ours; a hash seed, so that a regrade repeats; one thread, because each would take address space and a processor."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    single = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
    return {**kept, **single, "VECLIB_MAXIMUM_THREADS": "1", "PYTHONHASHSEED": "0"}


@cache
def packages() -> list[str]:
    """Where NumPy and jaxtyping are."""
    import jaxtyping
    return list(dict.fromkeys(str(Path(module.__file__).resolve().parent.parent) for module in (np, jaxtyping)))


class Nursery:
    def __init__(self, tier: str):
        before = bubblewrap() if tier == "bubblewrap" else []
        where = "/inside/nursery.py" if before else str(HERE / "nursery.py")
        try:
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as problem:                                # macOS has no such sockets
            raise Trouble(f"The tier {tier!r} can't be had here: {problem}") from None
        with theirs, tempfile.TemporaryFile() as complaints:
            command = [*before, *python(), where, tier, str(theirs.fileno()), *packages()]
            try:
                self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd="/", env=environment(), stdin=subprocess.DEVNULL,
                                                stdout=subprocess.DEVNULL, stderr=complaints, start_new_session=True)
            except (OSError, subprocess.SubprocessError) as problem:
                self.control.close()
                raise Trouble(f"A process for the tier {tier!r} can't be started: {problem}") from None
            theirs.close()
            self.facts = self.hello()
            if "problem" in self.facts:
                self.close()
                complaints.seek(0)
                said = complaints.read(2000).decode(errors="replace").strip()
                raise Trouble(f"A process for the tier {tier!r} doesn't start: {self.facts['problem']}. {said}".strip())

    def hello(self) -> dict:
        """What it says of itself when it is ready."""
        self.control.settimeout(PATIENCE)
        try:
            return json.loads(self.control.recv(1 << 20) or b'{"problem": "it ended at once"}')
        except OSError as problem:
            return {"problem": str(problem)}

    def close(self) -> None:
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
            return
        self.process.kill()
        self.process.wait()

    def child(self, descriptors: tuple[int, int, int], settings: dict) -> "Kept":
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as problem:
            raise Trouble(f"No socket can be had: {problem}") from None
        with theirs:
            try:
                socket.send_fds(self.control, [json.dumps(settings).encode()], [*descriptors, theirs.fileno()])
            except OSError as problem:
                ours.close()
                raise Trouble(f"The process that children come from has gone: {problem}") from None
        return Kept(ours)


class Kept:
    """A child of the nursery, by its keeper."""

    def __init__(self, line: socket.socket):
        self.line = line
        line.settimeout(PATIENCE)

    def end(self) -> tuple[int, float]:
        """Kills it, if it still lives: its exit code (or minus its signal), and its seconds of CPU."""
        try:
            with self.line:
                with contextlib.suppress(BrokenPipeError):        # there was no keeper; what the nursery said of it can still be read
                    self.line.send(b"k")
                told = json.loads(self.line.recv(4096) or b'{"problem": "its keeper has gone"}')
        except OSError as problem:
            told = {"problem": str(problem)}
        if "problem" in told:
            raise Trouble(f"A process couldn't be made or lost its keeper: {told['problem']}.")
        return told["ended"], told["seconds"]


class Once:
    """A child that is a process started for it, in a process group of its own: where the kernel has no filter."""

    def __init__(self, descriptors: tuple[int, int, int], settings: dict):
        told = json.dumps({**settings, "descriptors": descriptors})
        try:
            self.process = subprocess.Popen([*python(), str(HERE / "nursery.py"), "once", told, *packages()], pass_fds=descriptors, cwd="/",
                                            env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                            start_new_session=True)
        except (OSError, subprocess.SubprocessError) as problem:
            raise Trouble(f"A process for a submission can't be started: {problem}") from None

    def end(self) -> tuple[int, float]:
        with contextlib.suppress(ProcessLookupError, PermissionError):          # it may have ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode, 0.0


def child(tier: str, descriptors: tuple[int, int, int], settings: dict) -> Kept | Once:
    """A fresh child in this tier. Its descriptors are the request, its output, and its reply."""
    return Once(descriptors, settings) if tier == "unfiltered" else nursery(tier).child(descriptors, settings)


_nurseries: dict[str, Nursery] = {}
_lock = threading.RLock()


def nursery(tier: str) -> Nursery:
    """The tier's nursery of this process; a new one, if the last has gone."""
    with _lock:
        if tier in _nurseries and _nurseries[tier].process.poll() is not None:
            _nurseries.pop(tier).close()
        if tier not in _nurseries:
            _nurseries[tier] = Nursery(tier)
        return _nurseries[tier]


@atexit.register
def close_all() -> None:
    while _nurseries:
        _nurseries.popitem()[1].close()


def forget_all() -> None:
    """After a fork: the nurseries are our parent's."""
    global _lock
    _lock = threading.RLock()
    for each in _nurseries.values():
        each.control.close()
        each.process.returncode = 0                               # not ours to wait for
    _nurseries.clear()


os.register_at_fork(after_in_child=forget_all)


@cache
def own() -> Sandbox:
    """For a student's own checks on their own machine: the cheapest tier, with the filter where there is one."""
    try:
        return Sandbox("limits" if nursery("limits").facts["filtered"] else "unfiltered")
    except Trouble:
        return Sandbox("unfiltered")


# --- what bubblewrap lets be seen -----------------------------------------------------------------------------------------------

@cache
def bubblewrap() -> list[str]:
    """The command before ours. To be seen are: Python with its own library, the folders of the shared libraries that it has open, NumPy and
    jaxtyping, and the five files of the child. No site-packages, no home, no /usr."""
    used, homes = nursery("limits").facts["visible"], packages()
    libraries = {os.path.dirname(os.path.realpath(path)) for path in used if ".so" in path and "-packages/" not in path}
    folders = sorted(libraries | {os.path.dirname(os.__file__), os.path.realpath("/lib64")})
    others = {str(each) for folder in folders for pattern in ("*-packages", "*/*-packages") for each in Path(folder).glob(pattern)}
    parts = sorted({os.path.join(home, Path(path).relative_to(home).parts[0]) for home in homes for path in used if path.startswith(home + "/")})
    about = [str(each) for part in parts for each in Path(part).parent.glob(f"{Path(part).stem}-*.dist-info")]
    command = ["bwrap", "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL"]
    for link in (link for link in ("/lib", "/lib64") if os.path.islink(link)):
        command += ["--symlink", os.readlink(link), link]
    for place in [*folders, python()[0], "/etc/ld.so.cache"]:
        command += ["--ro-bind-try", place, place]
    for place in sorted(others):
        command += ["--tmpfs", place]
    for place in [*parts, *about]:
        command += ["--ro-bind", place, place]
    for name in INSIDE:
        command += ["--ro-bind", str(HERE / name), f"/inside/{name}"]
    return [*command, "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--remount-ro", "/"]
