"""benchmarks/gpu.py without a GPU: what keeps a lost measurement from costing the others, what the clock believes, what the program needs."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.on_gpu import clock, conductor  # noqa: E402
from benchmarks.on_gpu.conductor import Part  # noqa: E402
from benchmarks.on_gpu.results import Results  # noqa: E402

# --- measurements that go wrong ----------------------------------------------------------------------------------------------------

PART = '''
import os, subprocess, sys, time
from pathlib import Path
from benchmarks.on_gpu.child import Measurement

def measurements(place):
    place.__class__.works = lambda self: not BROKEN
    place.__class__.free = lambda self: None
    return [Measurement("first", lambda: {"figure": 1}), *TROUBLES, Measurement("last", lambda: {"figure": 2})]

BROKEN = []
TROUBLES = []
'''
FAILS = '''
def fails(): raise ValueError("no such luck")
TROUBLES += [Measurement("fails", fails)]
'''
DIES = '''
TROUBLES += [Measurement("dies", lambda: os.abort())]
'''
BREAKS_THE_CARD = '''
def breaks():
    BROKEN.append(True)
    raise RuntimeError("an illegal memory access")
TROUBLES += [Measurement("breaks", breaks)]
'''
HANGS = '''
def hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(__file__).with_name("child.pid").write_text(str(child.pid))
    time.sleep(600)
TROUBLES += [Measurement("hangs", hangs, limit=1)]
'''


@pytest.fixture
def conducted(tmp_path, monkeypatch):
    """Runs a part whose measurements are trouble; returns what is on the disk afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "parts").mkdir()

    def conduct(trouble, seconds=60):
        (tmp_path / "parts" / "part.py").write_text(PART + trouble)
        conductor.run(Part("part", seconds, "parts"), tmp_path, seconds, rehearsal=False)
        return Results(tmp_path, "part").finished()

    return conduct


@pytest.mark.parametrize("trouble, name, said", [
    (FAILS, "fails", "ValueError: no such luck"), (DIES, "dies", "its process ended: SIGABRT"),
    (BREAKS_THE_CARD, "breaks", "RuntimeError: an illegal memory access"), (HANGS, "hangs", "its process ended: it took longer than 1 s")],
    ids=["fails", "dies", "breaks the card", "hangs"])
def test_a_measurement_that_goes_wrong_costs_no_other_one(conducted, trouble, name, said):
    assert conducted(trouble) == {"first": {"figure": 1}, name: {"failed": said}, "last": {"figure": 2}}


def test_a_broken_card_gets_a_new_process(conducted, tmp_path):
    conducted(BREAKS_THE_CARD.replace("BROKEN.append(True)", 'BROKEN.append(True); print("process", os.getpid())')
              + 'TROUBLES += [Measurement("next", lambda: {"broken": len(BROKEN), "process": os.getpid()})]')
    found = Results(tmp_path, "part").finished()
    assert found["next"]["broken"] == 0, "the next measurement ran in the process whose card was broken"


def test_nothing_is_left_running(conducted, tmp_path):
    conducted(HANGS)
    pid = int((tmp_path / "parts" / "child.pid").read_text())
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or ") Z " in stat.read_text():                  # a zombie has ended
            return
        time.sleep(0.05)
    os.kill(pid, 9)
    raise AssertionError("a process that a hung measurement had started was still running")


def test_when_its_time_is_up_a_part_keeps_what_it_has(conducted, tmp_path, monkeypatch):
    def monotonic():
        """An hour later as soon as the long measurement has begun."""
        return time.monotonic() + 3600 * any(line["name"] == "long" for line in Results(tmp_path, "part").lines())

    monkeypatch.setattr(conductor, "time", SimpleNamespace(monotonic=monotonic, time=time.time, sleep=time.sleep))
    found = conducted('TROUBLES += [Measurement("long", lambda: time.sleep(600), limit=900)]')
    assert found == {"first": {"figure": 1}, "long": {"failed": "its process ended: the time of its part was up"}}


def test_a_measurement_that_needs_more_time_than_is_left_is_left_out(conducted):
    found = conducted('TROUBLES += [Measurement("long", lambda: {"figure": 3}, least=900)]')
    assert found == {"first": {"figure": 1}, "long": {"left_out": "no time was left"}, "last": {"figure": 2}}


def test_a_part_that_cant_even_begin_is_told(conducted):
    assert conducted("import no_such_module") == {"this part": {"failed": "its process ended: 1; see gpu.log"}}


def test_what_an_earlier_call_was_cut_short_in_is_done_again(conducted, tmp_path):
    Results(tmp_path, "part").write("first", begun=time.time() - 1000, limit=5)
    assert conducted("") == {"first": {"figure": 1}, "last": {"figure": 2}}


@pytest.mark.parametrize("minutes, took, given", [
    (6, (40, 130, 100), (160, 220, 190)),        # 360 s, less what later parts are promised
    (6, (230, 30, 100), (160, 30, 100)),         # who takes too long takes it from the next one, not from the whole
    (6, (340, 10, 10), (160, 10, 10)),           # but for a moment
    (2.5, (40, 60, 40), (50, 60, 50))],          # too little for all shares: each gets half
    ids=["quick", "slow", "far too slow", "short"])
def test_a_part_gets_what_the_parts_before_it_have_left(monkeypatch, tmp_path, minutes, took, given):
    now, seen = [0.0], []
    monkeypatch.setattr(conductor, "PARTS", [Part("one", 100), Part("two", 100), Part("three", 100)])
    monkeypatch.setattr(conductor.time, "monotonic", lambda: now[0])

    def run(part, out, seconds, rehearsal):
        now[0] += took[len(seen)]
        seen.append(seconds)

    monkeypatch.setattr(conductor, "run", run)
    conductor.conduct(tmp_path, minutes, rehearsal=False, only=[], after=lambda: None)
    assert tuple(seen) == given


def test_half_a_line_is_no_result(tmp_path):
    results = Results(tmp_path, "part")
    results.begin("whole", 5)
    results.write("whole", figure=1)
    with results.path.open("a") as file:
        file.write('{"name": "half", "fig')
    assert results.finished() == {"whole": {"figure": 1}} and results.running(0.0) is None


# --- the clock -----------------------------------------------------------------------------------------------------------------------

class Card:
    """A GPU and a host by the book: the host orders, the GPU works when what was ordered before is done."""

    def __init__(self, host, gpu):
        self.host, self.gpu = host, gpu                  # seconds that each takes for a piece of work
        self.now = self.free = 0.0
        self.spins = []

    def order(self, seconds):
        self.free = max(self.free, self.now) + seconds

    def RawKernel(self, code, name):
        def spin(grid, block, args):
            self.spins.append(args[0] / clock.CYCLES)
            self.order(self.spins[-1])
        return spin

    def work(self):
        self.now += self.host
        self.order(self.gpu)

    def wait(self):
        self.now = max(self.now, self.free)

    @property
    def cuda(self):
        card = self

        class Event:
            def record(self):
                card.order(0.0)
                self.at = card.free

            @property
            def done(self):
                return card.now >= self.at

            def synchronize(self):
                card.now = max(card.now, self.at)

        return SimpleNamespace(Event=Event, get_elapsed_time=lambda a, b: 1e3 * (b.at - a.at))


@pytest.fixture
def times(monkeypatch):
    def measure(host, gpu, **options):
        card = Card(host, gpu)
        place = SimpleNamespace(xp=card, rehearsal=False, wait=card.wait, size=lambda real, small: real)
        monkeypatch.setattr(clock.time, "perf_counter", lambda: card.now)
        return card, clock.Clock(place).times({"work": card.work}, **options)["work"]
    return measure


@pytest.mark.parametrize("host, gpu", [(1e-3, 1e-5), (1e-5, 1e-3), (5e-5, 5e-5)], ids=["slow host", "slow GPU", "alike"])
def test_the_hosts_time_is_no_part_of_the_gpus(times, host, gpu):
    _, time = times(host, gpu)
    assert time.seconds == pytest.approx(gpu) and not time.host


def test_a_host_that_is_slower_than_any_spin_is_told(times):
    card, time = times(host=0.3, gpu=1e-3)
    assert time.host and max(card.spins) == pytest.approx(clock.LONGEST)


def test_turns_are_taken_in_both_orders():
    card, seen = Card(0.0, 1e-3), []
    place = SimpleNamespace(xp=card, rehearsal=False, wait=card.wait, size=lambda real, small: real)

    def work(name):
        def run():
            seen.append(name)
            card.work()
        return run

    one = clock.Clock(place)
    one.warmed_up = lambda work: (1, 1e-6)
    one.times({"a": work("a"), "b": work("b")}, rounds=4)
    assert "".join(seen) in ("abbaabba", "baabbaab")


def test_the_cards_own_kernels_compile():
    """Of what the clock and the card's measurements start there is no emulation; but NVIDIA's compiler takes it."""
    pytest.importorskip("cupy")
    from cupy_backends.cuda.libs import nvrtc

    from benchmarks.on_gpu import machine
    for code in (clock.SPIN, machine.EMPTY):
        try:
            program = nvrtc.createProgram(code, "code.cu", (), ())
        except Exception as problem:
            pytest.skip(f"NVRTC can't be loaded: {problem}")
        nvrtc.compileProgram(program, ("-arch=sm_90",))
        assert nvrtc.getCUBIN(program)


# --- what it needs -------------------------------------------------------------------------------------------------------------------

BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {%s}:
            raise ImportError(f"{name} isn't here")

sys.meta_path.insert(0, Absent())
"""
LEAN = """
import importlib
for part in "place clock machine kernels cases products training contenders profile decoding real_run report conductor".split():
    importlib.import_module(f"benchmarks.on_gpu.{part}")
import numpy as np
import minillm, minillm.plot
from benchmarks.on_gpu.real_run import train
losses = train("cpu", 2, 24, 3, True)
assert len(losses) == 3 and np.isfinite(losses).all()
model = minillm.Transformer(minillm.Config.preset("llama-nano"))
assert len(minillm.generate(model, [1, 2], 3)) == 3
for part in "training.on_gpu kernels.repeated kernels.products cost.gpu_memory cost.hardware cost.mfu generation data.batches doctor".split():
    importlib.import_module(f"minillm.{part}")
"""
OTHERS = ("tyro", "beartype", "regex", "threadpoolctl", "matplotlib", "torch", "transformers", "tokenizers", "tiktoken", "pytest",
          "hypothesis", "scipy")


def test_it_needs_only_what_a_gpu_machine_has():
    code = BLOCKED % ", ".join(map(repr, OTHERS)) + LEAN
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_it_starts_as_a_file_and_as_a_module(tmp_path):
    for way in (["benchmarks/gpu.py"], ["-m", "benchmarks.gpu"]):
        done = subprocess.run([sys.executable, *way, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "--rehearse" in done.stdout, done.stderr


@pytest.mark.slow
def test_without_pytorch_our_own_figures_are_there(tmp_path, monkeypatch):
    pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
    (tmp_path / "torch.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [sys.executable, "benchmarks/gpu.py", "--rehearse", "--minutes", "20", "--out", str(tmp_path), "--only", "machine", "kernels"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = Results(tmp_path, "kernels").finished()
    assert len(kernels) > 50 and all(figures.get("seconds") and figures["theirs"] == {} for figures in kernels.values()), (tmp_path / "gpu.log").read_text()
    assert list(Results(tmp_path, "machine").finished()["copy"]["by"]) == ["CuPy"]
