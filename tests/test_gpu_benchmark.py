"""benchmarks/gpu.py without a GPU: what keeps a lost measurement from costing the others, what the clock believes, what the tables say."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.on_gpu import clock, conductor, report  # noqa: E402
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


def test_a_part_gets_what_the_parts_before_it_have_left(monkeypatch, tmp_path):
    now, given = [0.0], {}
    monkeypatch.setattr(conductor, "PARTS", [Part("one", 100), Part("two", 100), Part("three", 100)])
    monkeypatch.setattr(conductor.time, "monotonic", lambda: now[0])

    def run(part, out, seconds, rehearsal):
        given[part.name] = seconds
        now[0] += {"one": 40, "two": 130, "three": 100}[part.name]

    monkeypatch.setattr(conductor, "run", run)
    conductor.conduct(tmp_path, minutes=6, rehearsal=False, only=[], after=lambda: None)
    assert given == {"one": 160, "two": 220, "three": 190}                   # 360 s, less what later parts are promised
    now[0], given = 0.0, {}
    conductor.conduct(tmp_path, minutes=2.5, rehearsal=False, only=[], after=lambda: None)
    assert given["one"] == 50 and given["two"] == 60                         # too little for all shares: each gets half


def test_half_a_line_is_no_result(tmp_path):
    results = Results(tmp_path, "part")
    results.begin("whole", 5)
    results.write("whole", figure=1)
    with results.path.open("a") as file:
        file.write('{"name": "half", "fig')
    assert results.finished() == {"whole": {"figure": 1}} and results.running() is None


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


# --- the tables ----------------------------------------------------------------------------------------------------------------------

CARD = {"machine": {"card": "NVIDIA Test", "date": "2030-01-02", "python": "3.14.0", "versions": {"cupy": "99.1"},
                    "nvidia-smi": {"driver_version": "600.1"}},
        "copy": {"bytes": 4e9, "bytes_per_second": 4e12}, "product": {"n": 8192, "flops_per_second": 8e14, "by": {"CuPy": 8e14}}}


def kernel(**more):
    return {"seconds": 1e-3, "spread": 0.01, "host": False, "error": 1e-3, "wrong": False, "theirs": {"PyTorch": 2e-3}, "troubles": {}} | more


@pytest.fixture
def out(tmp_path):
    """What a call has left on the disk."""
    parts = {"machine": CARD,
             "kernels": {"fast": kernel(bytes=3e9, bytes_per_second=3e12), "off": kernel(flops=4e11, flops_per_second=4e14, wrong=True, host=True),
                         "broken": {"failed": "RuntimeError: no luck"}, "late": {"left_out": "no time was left"}},
             "training": {"GPT": {"case": {"b": 32, "t": 1024}, "flops": 10**13, "peak": 1e15, "differences": {"ours": 0.5, "PyTorch": 0.0}, "contenders": {
                 "ours": {"mode": "graph", "step": 0.05, "tokens_per_second": 32768 / 0.05, "memory": {"peak": 2e10}},
                 "PyTorch": {"mode": "eager", "step": 0.2, "tokens_per_second": 32768 / 0.2, "memory": {"peak": 4e10}},
                 "torch.compile": {"failed": "no answer after 100 s"}}}}}
    for part, measurements in parts.items():
        for name, figures in measurements.items():
            Results(tmp_path, part).write(name, **figures)
    return tmp_path


def row(text, begin):
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {begin}")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_rate_is_held_to_the_cards_own_best(out):
    text = report.write(out, rehearsal=False)
    assert row(text, "fast") == ["fast", "1,000.0", "3,000 GB/s", "75%", "2,000.0", "2.00", "1.0e-03"]
    assert row(text, "off")[:4] == ["off", "1,000.0~", "400 TFLOP/s", "50%"]


def test_what_is_wrong_is_called_so(out):
    text = report.write(out, rehearsal=False)
    assert "WRONG" in row(text, "off")[-1] and "WRONG" not in row(text, "fast")[-1]
    assert "APART" in row(text, "GPT")[-1] and "APART" not in row(text, " | PyTorch")[-1]


def test_what_was_not_measured_is_listed_with_its_reason(out):
    missing = report.write(out, rehearsal=False).partition("### Not measured")[2]
    assert all(words in missing for words in ("broken: RuntimeError: no luck", "late: no time was left", "GPT, torch.compile: no answer after 100 s"))


def test_speed_mfu_and_memory_of_training(out):
    text = report.write(out, rehearsal=False)
    assert row(text, "GPT")[1:7] == ["ours (graph)", "655,360", "50.00 ms", "20.0%", "20.00 GB", "–"]


def test_the_table_says_where_and_when(out):
    text = report.write(out, rehearsal=False)
    assert all(word in text for word in ("NVIDIA Test", "2030-01-02", "driver 600.1", "cupy 99.1", "Python 3.14.0"))
    assert "Rehearsal" not in text and report.REHEARSAL in report.write(out, rehearsal=True)
    assert json.loads((out / "gpu.json").read_text())["kernels"]["broken"]["failed"] == "RuntimeError: no luck"


@pytest.mark.parametrize("before", ["# Results\n\n## On a CPU\n\nslow\n", "# Results\n\n## On a GPU\n\nold figures\n\n## On a CPU\n\nslow\n",
                                    "# Results\n\n## On a CPU\n\nslow\n\n## On a GPU\n\nold figures\n"], ids=["none yet", "in the middle", "at the end"])
def test_the_table_takes_its_place_in_the_results(out, tmp_path, before):
    results = tmp_path / "RESULTS.md"
    results.write_text(before)
    report.write(out, rehearsal=False)
    report.record(out, results)
    text = results.read_text()
    assert "NVIDIA Test" in text and "old figures" not in text and "## On a CPU\n\nslow\n" in text and text.count(report.HEADING) == 1
    report.record(out, results)
    assert results.read_text() == text


@pytest.mark.parametrize("rehearsal, machine, said", [(True, CARD, "rehearsal"), (False, {}, "which card")], ids=["a rehearsal", "no card"])
def test_the_results_take_no_figures_from_nowhere(tmp_path, rehearsal, machine, said):
    for name, figures in machine.items():
        Results(tmp_path, "machine").write(name, **figures)
    results = tmp_path / "RESULTS.md"
    results.write_text("# Results\n")
    report.write(tmp_path, rehearsal)
    with pytest.raises(SystemExit, match=said):
        report.record(tmp_path, results)
    assert results.read_text() == "# Results\n"


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
OTHERS = ("tyro", "beartype", "regex", "threadpoolctl", "matplotlib", "torch", "transformers", "tokenizers", "tiktoken", "pytest", "hypothesis", "scipy")


def test_it_needs_only_what_a_gpu_machine_has():
    code = BLOCKED % ", ".join(map(repr, OTHERS)) + LEAN
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_it_starts_as_a_file_and_as_a_module(tmp_path):
    for way in (["benchmarks/gpu.py"], ["-m", "benchmarks.gpu"]):
        done = subprocess.run([sys.executable, *way, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "--rehearse" in done.stdout, done.stderr
