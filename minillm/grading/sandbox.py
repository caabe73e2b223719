"""How far a submission is kept from everything else: the tiers, what this machine can do, and what a teacher may ask for.

    unshare       namespaces of its own: an empty read-only file system, no network, no other process to be seen, no user that exists.
    bubblewrap    the same by the program bwrap, where `unshare` is closed and bwrap isn't: Python and NumPy can be seen, read-only.
    uid           another user, who owns nothing, in an empty directory; for a grader that runs as root, as in many containers.
    limits        a process like ours.
    unfiltered    the same without the kernel's filter, as on macOS: a submission can read what you can read.

In all but the last, a filter in the kernel (seccomp.py) lets a submission compute and nothing else: no file, no network, no process, no
signal. In all of them it has limits of CPU time, wall time, memory, output and files, an empty environment, and four open descriptors.
"""

from functools import cache

from ..exercises.exercise import call
from .caller import Limits, ask
from .nurseries import Sandbox, Trouble, nursery

TIERS = ("unshare", "bubblewrap", "uid", "limits", "unfiltered")          # in the order in which they are tried
RANK = {"unshare": 3, "bubblewrap": 3, "uid": 2, "limits": 1, "unfiltered": 0}
TELLS = {
    "unshare": "own namespaces, an empty file system, and a filter of system calls",
    "bubblewrap": "own namespaces (bubblewrap), Python alone to be seen, and a filter of system calls",
    "uid": "another user in an empty directory, and a filter of system calls; no namespaces",
    "limits": "a filter of system calls and limits; no namespaces and no other user",
    "unfiltered": "limits alone: this system has no filter of system calls, so a submission can read what you can read; "
                  "grade nobody's work but your own",
}

# A submission that tries what none may do; it returns what it could. (os and sys are at hand; all else must be had from there.)
TRIAL = '''
import os, sys

def attempts():
    yield "open a file", lambda: os.open("/", 0)
    yield "list a directory", lambda: os.listdir("/")
    yield "make a process", lambda: os.fork() or os._exit(0)
    yield "signal its parent", lambda: os.kill(os.getppid(), 0)
    yield "open a socket", lambda: sys.modules["_socket"].socket().close()
    yield "see the environment", lambda: os.environ["PYTHONHASHSEED"]
    yield "run a program", lambda: os.execv(sys.executable, [sys.executable, "-c", ""])

def trial():
    could = []
    for name, attempt in attempts():
        try:
            attempt()
            could.append(name)
        except (OSError, KeyError, AttributeError, NameError):
            pass
    return could
'''


def probe(tiers: tuple[str, ...] = TIERS) -> Sandbox:
    """The first of these tiers that this machine really offers: a child is started in it, and tries what it mustn't."""
    tried = {}
    for tier in tiers:
        tried[tier] = failing(tier)
        if not tried[tier]:
            return Sandbox(tier)
    raise OSError("No sandbox can be had here. " + " ".join(f"{tier}: {why}" for tier, why in tried.items()))


def failing(tier: str) -> str | None:
    """Why this machine doesn't offer the tier, or None."""
    try:
        if tier != "unfiltered":
            nursery(tier)
    except Trouble as problem:
        return str(problem)
    source = TRIAL if tier != "unfiltered" else "def trial():\n    return []"
    [answer] = ask(source, [call("trial")], Limits(seconds=5, megabytes=128), "trial.py", Sandbox(tier))
    could = answer.values.get("result")
    return answer.message if answer.problem else f"There, a submission can {', '.join(map(str, could))}." if could else None


@cache
def best() -> Sandbox:
    """What to grade others with. Found out once."""
    return probe()


def require(sandbox: Sandbox, tier: str) -> None:
    """Refuses less than `tier`."""
    if tier not in RANK:
        raise ValueError(f"There is no sandbox {tier!r}; there are {', '.join(TIERS)}.")
    if RANK[sandbox.tier] < RANK[tier]:
        raise ValueError(f"This machine offers the sandbox {sandbox.tier!r} ({TELLS[sandbox.tier]}), and {tier!r} is required ({TELLS[tier]}).")


def describe(sandbox: Sandbox) -> str:
    return f"Sandbox: {sandbox.tier} ({TELLS[sandbox.tier]})."
