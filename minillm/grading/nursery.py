"""Where children come from: a process with NumPy already loaded and walls already built, which has never seen a submission and never will.

Starting Python with NumPy costs about 0.4 s, a fork of it 5 ms; so the grader starts one nursery, and asks it for a fresh child per check.
The nursery hands on file descriptors and reads none of them. It is started as a file, and is told on its command line the tier (see
sandbox.py), the number of its socket, and where NumPy is. Two processes per check:

    keeper   waits for a word from the grader, or for its end; kills the child; tells how it ended
    child    takes its limits, its request and the kernel's filter, in this order, and then runs the student's code

Where the kernel knows no filter, a child could reach its nursery; there, each child is a process started afresh (`once`).
"""

import contextlib
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import types

NULL, OUTPUT, ERRORS, REPLY = range(4)                            # the file descriptors of a child: these, and no others
FIRST_FREE = 4


def enter(tier: str) -> None:
    """The walls of the tier. Bubblewrap's stand already, and `limits` has none beside those of every child."""
    from . import confine
    confine.empty_place()
    {"unshare": confine.namespaces, "uid": confine.other_user}.get(tier, lambda: None)()


def occupy_descriptors() -> None:
    """0 to 3 are open from here on, so that nothing which arrives has these numbers."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(FIRST_FREE):
        os.dup2(null, number)
    if null >= FIRST_FREE:
        os.close(null)


def files() -> list[str]:
    """What Python has opened to get here: its libraries, and the packages that aren't its own. Bubblewrap must let these be seen."""
    with open("/proc/self/maps") as maps:
        libraries = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/") and ".so" in line}
    own = os.path.dirname(os.__file__)
    loaded = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    return sorted(path for path in libraries | loaded if os.path.isfile(path) and not path.startswith(own + "/") or "-packages/" in path)


def tend(control: socket.socket) -> None:
    """Forks for each request, until the grader hangs up."""
    from . import child, confine
    used = confine.memory_used()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)                 # keepers leave nothing to collect
    while True:
        told, descriptors, *_ = socket.recv_fds(control, 4096, 4)
        if not told:
            return
        request, output, reply, line = descriptors
        with socket.socket(fileno=line) as ear:
            try:
                if not os.fork():
                    control.close()
                    keep(ear, lambda: child.live((request, output, reply), used=used, filtered=True, **json.loads(told)), (request, output, reply))
            except OSError as problem:                            # no process to be had: the grader's own trouble
                ear.send(json.dumps({"problem": str(problem)}).encode())
        for number in (request, output, reply):
            os.close(number)


def keep(ear: socket.socket, live, descriptors: tuple[int, ...]) -> None:
    """The keeper of one child. It never returns."""
    from . import confine
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        child = os.fork()
        if not child:
            confine.die_with_parent()
            try:
                live()
            finally:
                os._exit(1)
        for number in descriptors:
            os.close(number)
        ear.recv(1)                                               # a byte, or the end of the grader: in both cases the end of the child
        os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        ear.send(json.dumps({"ended": os.waitstatus_to_exitcode(status), "seconds": usage.ru_utime + usage.ru_stime}).encode())
    except OSError as problem:
        with contextlib.suppress(OSError):
            ear.send(json.dumps({"problem": str(problem)}).encode())
    finally:
        os._exit(0)


def main(tier: str, number: int) -> None:
    control = socket.socket(fileno=fcntl.fcntl(number, fcntl.F_DUPFD, 16))
    os.close(number)
    try:
        from . import child, seccomp
        child.preload()
        gc.collect()
        gc.freeze()                                               # children copy no page to look for garbage among what we loaded
        visible = files() if tier == "limits" else []
        occupy_descriptors()
        enter(tier)
        os.environ.clear()
        filtered = seccomp.honoured()
        facts = {"filtered": filtered, "visible": visible}
    except Exception as problem:
        facts = {"problem": f"{type(problem).__name__}: {problem}"}
    told = json.dumps(facts).encode()
    control.send(told)
    if "problem" not in facts:
        tend(control)


def once(told: str) -> None:
    """One child, in this very process."""
    from . import child, confine
    child.preload()
    settings = json.loads(told)
    descriptors = tuple(fcntl.fcntl(number, fcntl.F_DUPFD, 16) for number in settings.pop("descriptors"))
    occupy_descriptors()
    enter("unfiltered")
    os.environ.clear()
    settings["seconds"] += time.process_time()                    # loading isn't the student's time
    child.live(descriptors, used=confine.memory_used(), filtered=False, **settings)


if __name__ == "__main__":
    package = types.ModuleType("inside")                          # the files beside this one, by a name of their own: minillm isn't imported
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["inside"] = package
    [how, what, *paths] = sys.argv[1:]
    sys.path += paths
    here = importlib.import_module("inside.nursery")
    here.once(what) if how == "once" else here.main(how, int(what))
    os._exit(0)
