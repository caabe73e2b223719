"""Profiles: that every number is the one it says it is. The times themselves are the machine's own business."""

import json

import pytest

from minillm import cli
from minillm.arrays import num_threads, set_num_threads
from minillm.cost import counters
from minillm.cost.counting import Count, counting
from minillm.cost.flops import adamw, of_model
from minillm.cost.timing import Spent, Times
from minillm.model import Config
from minillm.training import profile
from minillm.training.profile import Line, Profile
from model.small import LLAMA, batch, small

CONFIG = Config(**(LLAMA | dict(vocab_size=50)))


@pytest.fixture(scope="module")
def found():
    return profile.of_step(CONFIG, 3, 8, steps=2)


def test_every_operation_of_a_step_is_there_and_the_optimizer(found):
    assert {line.op for line in found.lines} == {"embedding", "rmsnorm", "linear", "rope", "attention", "add_rmsnorm", "swiglu",
                                                 "linear_cross_entropy", "adamw"}
    assert [line.seconds for line in found.lines] == sorted((line.seconds for line in found.lines), reverse=True)
    assert found.tokens == 24 and found.needed == of_model(CONFIG, 3, 8).total


def test_flops_are_those_that_are_executed(found):
    model, count = small(LLAMA, vocab_size=50), Count()
    slices = min(num_threads(), 3)
    before = num_threads()
    try:
        set_num_threads(slices)
        from minillm.training.step import Gradients, loss_and_grads
        loss_and_grads(model.with_ops(counting(model.ops, count)), *batch(3, 8, 50), Gradients(model.params))
    finally:
        set_num_threads(before)
    of_op = {line.op: line.flops for line in found.lines}
    assert of_op.pop("adamw") == adamw(CONFIG, clipped=True).elementwise
    assert of_op == {op: tally.matmul + tally.elementwise for op, tally in count.by_op.items() if op != "add"}
    assert found.bandwidth > 0 and found.peak > 0


def test_a_line_is_the_median_over_runs_and_threads():
    runs = []
    for time in (4.0, 100.0, 6.0):
        times = Times()
        times.calls += [("a", "linear", "forward", Spent(1, time / 4, 10)), ("b", "linear", "backward", Spent(1, 3 * time / 4, 20))]
        runs.append(times)
    (line,) = profile.lines(runs, {"linear": 600}, threads=2)
    assert line == Line("linear", calls=2, seconds=3.0, flops=600, bytes=30, forward=0.25)
    assert (line.rate, line.bandwidth, line.intensity) == (200, 10, 20)


def made(**changes) -> Profile:
    values = dict(lines=[Line("linear", 2, 0.5, 10**9, 10**7, 0.3), Line("rope", 1, 0.25, 10**6, 10**7, 0.5)], seconds=0.9, timed_seconds=1.0,
                  threads=2, tokens=100, needed=9 * 10**8, peak=4e9, bandwidth=1e9, by_hardware=None, why_not="this machine has none")
    return Profile(**(values | changes))


def test_the_roof_is_the_lower_of_two_ceilings():
    assert made().ridge == 4
    assert [made().roof(x) for x in (0.5, 4, 100)] == [5e8, 4e9, 4e9]
    assert made().mfu == pytest.approx(0.25)


def test_the_report_says_what_it_measured_and_what_it_could_not():
    text = str(made())
    for words in ("A step of 100 tokens takes 900.0 ms on 2 thread(s), 111 tokens/s", "linear                      2    500.00   50.0%      30%       2.0",
                  "between them                     250.00   25.0%", "4.0 GFLOP/s in large matrix products, 1.0 GB/s", "4.0 FLOPs a byte",
                  "an MFU of 25.0%", "No hardware counters: this machine has none."):
        assert words in text, text
    linear, rope = (next(line for line in text.splitlines() if line.startswith(op)) for op in ("linear", "rope"))
    assert linear.endswith("50%") and rope.endswith("4%"), "of the peak; of the bandwidth times 0.1 FLOPs a byte"
    assert "counters saw 1.040 times" in str(made(by_hardware=1.04))


def test_copying_reads_and_writes(monkeypatch):
    clock = [0.0]
    durations = iter([5, 2, 3])
    monkeypatch.setattr(profile, "seconds", lambda function: (function(), clock.__setitem__(0, clock[0] + 1), next(durations))[2])
    monkeypatch.setattr(profile.time, "perf_counter", lambda: clock[0])
    assert profile.copy_rate(size=1000, patience=3) == 2 * 1000 / 2


def test_the_processor_is_asked_on_one_thread_and_the_threads_come_back(monkeypatch):
    seen, before = [], num_threads()
    monkeypatch.setattr(counters, "flops_by_hardware", lambda function: seen.append(num_threads()) or function() or 2.0 * total)
    model, (tokens, _) = small(LLAMA), batch(3, 6)
    count = Count()
    model.with_ops(counting(model.ops, count)).loss_and_grads(tokens[:1, :-1], tokens[:1, 1:])
    total = count.total.matmul + count.total.elementwise
    assert profile.ask_the_processor(model, tokens, False) == (2.0, "")
    assert seen == [1] and num_threads() == before


def test_the_command_prints_draws_and_writes_json(tmp_path, capsys):
    words = ["profile", "--preset", str(tmp_path / "tiny.toml"), "--batch", "2", "--steps", "1", "--threads", str(num_threads())]
    (tmp_path / "tiny.toml").write_text("\n".join(f"{name} = {value}" for name, value in (LLAMA | dict(vocab_size=50)).items()))
    for more in (["--png", str(tmp_path / "roof.png")], ["--json"]):
        with pytest.raises(SystemExit) as end:
            cli.main([*words, *more])
        assert not end.value.code
        out = capsys.readouterr().out
        assert "of the roof" in out and "hardware counters" in out if "--png" in more else json.loads(out)["tokens"] == 2 * 9
    assert (tmp_path / "roof.png").stat().st_size > 10_000


@pytest.mark.parametrize("flag", ["--batch", "--steps", "--seq-len", "--threads"])
def test_nonsense_gets_a_sentence(flag, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["profile", flag, "0"])
    assert end.value.code == 1 and "not 0" in capsys.readouterr().err


def test_a_model_that_has_no_room_here_is_refused_before_anything_is_allocated(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["profile", "--preset", "llama3-405b"])
    assert end.value.code == 1 and "would need" in capsys.readouterr().err
