"""Which tiers a machine offers is found out by trying, told in words, and may be required."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from minillm.exercises.exercise import call
from minillm.grading import nurseries, sandbox
from minillm.grading.caller import ask
from minillm.grading.nurseries import Sandbox, Trouble
from minillm.grading.sandbox import TELLS, TIERS

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="these tiers are Linux's")


def test_the_first_tier_that_holds_is_taken(monkeypatch):
    works = {"uid"}
    monkeypatch.setattr(sandbox, "failing", lambda tier: None if tier in works else f"{tier} is closed.")
    assert sandbox.probe() == Sandbox("uid")
    works.add("bubblewrap")
    assert sandbox.probe() == Sandbox("bubblewrap")
    works.add("unshare")
    assert sandbox.probe() == Sandbox("unshare")
    assert sandbox.probe(("limits", "uid")) == Sandbox("uid")
    with pytest.raises(OSError, match=r"No sandbox can be had here. limits: limits is closed."):
        sandbox.probe(("limits",))


@pytest.mark.parametrize("has, required, refused", [
    ("unshare", "bubblewrap", False), ("bubblewrap", "unshare", False), ("unshare", "uid", False), ("uid", "limits", False),
    ("limits", "limits", False), ("unfiltered", "unfiltered", False),
    ("uid", "unshare", True), ("limits", "uid", True), ("unfiltered", "limits", True), ("limits", "bubblewrap", True),
])
def test_less_than_what_is_required_is_refused(has, required, refused):
    if refused:
        with pytest.raises(ValueError, match=rf"offers the sandbox '{has}' .* and '{required}' is required"):
            sandbox.require(Sandbox(has), required)
    else:
        sandbox.require(Sandbox(has), required)


def test_an_unknown_tier_is_refused():
    with pytest.raises(ValueError, match="There is no sandbox 'docker'; there are unshare, bubblewrap, uid, limits, unfiltered"):
        sandbox.require(Sandbox("unshare"), "docker")


def test_every_tier_says_what_it_is_worth():
    for tier in TIERS:
        told = sandbox.describe(Sandbox(tier))
        assert told.startswith(f"Sandbox: {tier} (") and told.endswith(").")
        assert ("filter of system calls" in told) and (tier != "unfiltered" or "can read what you can read" in told)
    assert set(TELLS) == set(sandbox.RANK) == set(TIERS)


@LINUX
def test_the_trial_finds_what_is_open():
    """Without the filter it gets what it asks for. (The last that it asks for would end it: another program in its place.)"""
    source = "".join(line for line in sandbox.TRIAL.splitlines(True) if "execv" not in line)
    source = source.replace("def attempts():", "os.closerange(0, 3)\ndef attempts():")
    [answer] = ask(source, [call("trial")], sandbox=Sandbox("unfiltered"))
    assert {"open a file", "list a directory", "signal its parent", "open a socket"} <= set(answer.values["result"])
    assert ask(sandbox.TRIAL, [call("trial")], sandbox=Sandbox("unfiltered"))[0].problem == "died"


@LINUX
def test_a_tier_in_which_the_trial_gets_something_is_not_offered(monkeypatch):
    monkeypatch.setattr(sandbox, "TRIAL", "def trial():\n    return ['read a file']")
    assert sandbox.failing("limits") == "There, a submission can read a file."
    monkeypatch.setattr(sandbox, "TRIAL", "def trial():\n    raise OSError('broken')")
    assert "broken" in sandbox.failing("limits")


@LINUX
def test_a_program_that_is_not_there_is_told_and_not_taken(monkeypatch):
    monkeypatch.setattr(nurseries, "_nurseries", {})              # none that was started before counts
    monkeypatch.setattr(nurseries, "bubblewrap", lambda: ["/nowhere/bwrap"])
    assert "can't be started" in sandbox.failing("bubblewrap")
    monkeypatch.setattr(nurseries, "bubblewrap", lambda: ["/bin/false"])
    assert "doesn't start" in sandbox.failing("bubblewrap")


@LINUX
def test_a_machine_without_the_filter_has_the_lowest_tier(monkeypatch):
    def refused(tier):
        raise Trouble("There is no filter of system calls.")

    monkeypatch.setattr(nurseries, "nursery", refused)
    nurseries.own.cache_clear()
    try:
        assert nurseries.own() == Sandbox("unfiltered")
    finally:
        nurseries.own.cache_clear()
    monkeypatch.undo()
    assert nurseries.own() == Sandbox("limits")


# --- what can be seen from inside -------------------------------------------------------------------------------------------------

LOOK = """
import importlib.util, json, os, socket, sys
sys.path += sys.argv[3:]
package = importlib.util.module_from_spec(importlib.util.spec_from_loader("inside", None))
package.__path__ = [sys.argv[2]]
sys.modules["inside"] = package
from inside import child, nursery
child.preload()
nursery.enter(sys.argv[1])
facts = {"user": os.getuid(), "process": os.getpid()}
for path in ("/", "/etc", "/root", "/home", sys.argv[2], *sys.argv[3:]):
    try:
        facts[path] = sorted(os.listdir(path))
    except OSError as error:
        facts[path] = type(error).__name__
try:
    open("/made", "w").close()
    facts["written"] = True
except OSError as error:
    facts["written"] = type(error).__name__
facts["interfaces"] = [name for _, name in socket.if_nameindex()]
print(json.dumps(facts), flush=True)
"""


def look(tier: str) -> dict:
    """What a process within the walls of a tier could see, if there were no filter."""
    import json
    before = nurseries.bubblewrap() if tier == "bubblewrap" else []
    where = "/inside" if before else str(Path(nurseries.__file__).parent)
    done = subprocess.run([*before, *nurseries.python(), "-c", LOOK, tier, where, *nurseries.packages()], capture_output=True, text=True, cwd="/",
                          env=nurseries.environment(), timeout=60)
    if done.returncode:
        pytest.skip(f"{tier} can't be had here: {done.stderr}")
    return json.loads(done.stdout)


@LINUX
def test_in_namespaces_of_its_own_nothing_is_there():
    facts = look("unshare")
    assert facts["/"] == [] and facts["written"] == "OSError"
    assert all(value == "FileNotFoundError" for name, value in facts.items() if name.startswith("/") and name != "/")
    assert facts["user"] == 65534 and facts["process"] == 1 and facts["interfaces"] == ["lo"]


@LINUX
def test_in_bubblewrap_python_is_there_and_nothing_of_ours():
    facts = look("bubblewrap")
    assert facts["user"] == 65534 and facts["interfaces"] == ["lo"] and facts["written"] == "OSError"
    assert set(facts["/inside"]) == set(nurseries.INSIDE)
    seen = {name for place in nurseries.packages() for name in facts[place]}
    assert seen and all(name.partition("-")[0].partition(".")[0] in ("numpy", "jaxtyping", "wadler_lindig", "typing_extensions",
                                                                     "ml_dtypes") for name in seen), seen
    assert facts["/home"] == "FileNotFoundError" and "passwd" not in facts["/etc"]


@LINUX
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_as_another_user_nothing_is_there():
    facts = look("uid")
    assert 61184 <= facts["user"] <= 65534 and facts["written"] in ("FileNotFoundError", "PermissionError")
    assert all(value in ("FileNotFoundError", "PermissionError", []) for name, value in facts.items() if name.startswith("/")), facts


@LINUX
def test_no_secret_is_handed_to_a_nursery():
    """Its command line and its environment are the same for every class and every student."""
    for tier in ("limits", sandbox.best().tier):
        process = nurseries.nursery(tier).process.pid
        assert set(entry.partition("=")[0] for entry in Path(f"/proc/{process}/environ").read_text().split("\0")) <= {
            "PYTHONHASHSEED", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "LD_LIBRARY_PATH", "TMPDIR",
            "PWD", ""}


# --- as in a default container: no namespaces -----------------------------------------------------------------------------------------

CONTAINER = """
import ctypes, errno, importlib.util, os, struct, sys
spec = importlib.util.spec_from_file_location("seccomp", sys.argv[1])
seccomp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seccomp)
machine = os.uname().machine
forbidden = {"x86_64": (272, 165, 155, 308, 435), "aarch64": (97, 40, 41, 268, 435)}[machine]            # unshare, mount, pivot_root, setns, clone3
clone, flags = {"x86_64": 56, "aarch64": 220}[machine], 0x7E020000                                     # CLONE_NEW…
lines = [(0x20, 0, 0, 0), *((0x15, len(forbidden) + 3 - i, 0, number) for i, number in enumerate(forbidden)),
         (0x15, 0, 2, clone), (0x20, 0, 0, 16), (0x45, 1, 0, flags), (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | errno.EPERM)]
code = b"".join(struct.pack("HBBI", *line) for line in lines)
made = seccomp.Program(len(lines), code)
library = ctypes.CDLL(None, use_errno=True)
assert not library.prctl(38, 1, 0, 0, 0)
assert not library.syscall(seccomp.MACHINES[machine][2], 1, 1, ctypes.byref(made)), os.strerror(ctypes.get_errno())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def contained(*arguments: str) -> subprocess.CompletedProcess:
    """Python where namespaces are blocked, by the rule that ordinary containers have."""
    command = [sys.executable, "-c", CONTAINER, str(ROOT / "minillm/grading/seccomp.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": PATH}, capture_output=True, text=True)


@LINUX
def test_where_namespaces_are_blocked_the_next_tier_is_taken():
    done = contained("-c", "from minillm.grading import sandbox as s\nprint(s.best().tier, '|', s.failing('unshare'), '|', s.failing('bubblewrap'))")
    best, unshare, bubblewrap = done.stdout.split(" | ")
    assert best == ("uid" if os.getuid() == 0 else "limits"), done.stderr
    assert "unshare failed: Operation not permitted" in unshare and re.search("bwrap|can't be started", bubblewrap)


@LINUX
@pytest.mark.slow
def test_the_attacks_get_nothing_where_namespaces_are_blocked():
    done = contained("-m", "pytest", "-q", "tests/grading/test_attacks.py", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
