"""The tables of benchmarks/gpu.py: from figures on the disk to Markdown and RESULTS.md."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.on_gpu import report  # noqa: E402
from benchmarks.on_gpu.results import Results  # noqa: E402

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
             "training": {"GPT": {"case": {"b": 32, "t": 1024}, "flops": 10**13, "peak": 1e15, "predicted memory": 21 * 10**9,
                                  "differences": {"ours": 0.5, "PyTorch": 0.0}, "contenders": {
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
    assert row(text, "GPT")[1:7] == ["ours (graph)", "655,360", "50.00 ms", "20.0%", "20.00 GB (predicted: 21.00)", "–"]


def test_what_was_aimed_at_is_held_to_what_was_measured(out):
    theirs = {"theirs": {"flash": 2e-3}}
    for name, figures in {"slow": kernel(bytes=1e9, bytes_per_second=3.6e12), "attention forward": kernel(**theirs),
                          "attention backward": kernel(seconds=4e-3, **theirs)}.items():
        Results(out, "kernels").write(name, **figures)
    Results(out, "training").write("tiny", case={"b": 1, "t": 2}, flops=1, peak=None, differences={}, contenders={
        "ours": {"step": 1.0, "tokens_per_second": 3.0, "memory": {"peak": 4}}, "torch.compile": {"step": 1.0, "tokens_per_second": 2.0},
        "PyTorch": {"step": 1.0, "tokens_per_second": 1.0, "memory": {"peak": 5}}})
    text = report.write(out, rehearsal=False)
    assert row(text, "kernels that move memory")[1] == "1 of 2; not fast 75%"
    assert row(text, "every kernel is right")[1] == "4 of 5; not off"
    assert row(text, "attention, forward and backward together")[1] == "**not yet**: attention 0.80 times"
    assert row(text, "training is as fast")[1] == "yes: tiny 1.50 times"
    assert row(text, "training needs no more memory")[1] == "yes: GPT 0.50 times, tiny 0.80 times"


def test_the_table_says_where_and_when(out):
    text = report.write(out, rehearsal=False)
    assert all(word in text for word in ("NVIDIA Test", "2030-01-02", "driver 600.1", "cupy 99.1", "Python 3.14.0"))
    assert "Rehearsal" not in text and report.REHEARSAL in report.write(out, rehearsal=True)
    assert json.loads((out / "gpu.json").read_text())["kernels"]["broken"]["failed"] == "RuntimeError: no luck"


@pytest.mark.parametrize("before", ["# Results\n\n## On a CPU\n\nslow\n", "# Results\n\n## On a GPU\n\nold figures\n\n## On a CPU\n\nslow\n",
                                    "# Results\n\n## On a CPU\n\nslow\n\n## On a GPU\n\nold figures\n"],
                         ids=["none yet", "in the middle", "at the end"])
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
