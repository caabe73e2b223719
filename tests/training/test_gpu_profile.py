"""Profiles of a GPU's step, on the stand-in: that every number is the one it says it is. Its times mean nothing."""

import json

import numpy as np
import pytest

from minillm import cli, updates
from minillm.arrays import on_host
from minillm.cost import flops, mfu
from minillm.cost.counting import Count, counting
from minillm.cost.timing import Times, timing
from minillm.model import Config, Transformer
from minillm.training import gpu_profile
from model.small import GPT2, LLAMA

CONFIG = Config(**(LLAMA | dict(vocab_size=50, d_model=8, d_ff=12)))


@pytest.fixture(autouse=True)
def small_measurements(monkeypatch):
    monkeypatch.setitem(mfu.SIZE, "cuda", 16)
    monkeypatch.setattr(gpu_profile, "COPIED", 2**12)
    monkeypatch.setattr(gpu_profile, "WARM_UP", 4)
    monkeypatch.setattr(gpu_profile.copy_rate, "__defaults__", (2**12, 3))
    monkeypatch.setattr(gpu_profile, "product_rate", lambda *_, **__: 1e12)


@pytest.mark.parametrize("precision, recompute", [("bf16", False), ("fp32", True)])
def test_every_operation_of_a_step_is_there_and_the_optimizer(gpu, unchecked, precision, recompute):
    found = gpu_profile.of_step(CONFIG, 3, 8, 1, precision, recompute)
    calls = {line.op: line.calls for line in found.lines}
    layers = 2
    again = layers * recompute
    assert calls == {"embedding": 2, "rmsnorm": 2 * (layers + 1) + again, "linear": 7 * (2 * layers + again), "rope": 2 * (2 * layers + again),
                     "attention": 2 * layers + again, "add_rmsnorm": 2 * layers + again, "swiglu": 2 * layers + again, "linear_cross_entropy": 2,
                     "adamw": 1}
    assert found.tokens == 24 and found.needed == flops.of_model(CONFIG, 3, 8).total and found.bandwidth > 0 and found.peak == 1e12
    assert f"on one NVIDIA H200, {precision}, as a CUDA graph, " in str(found) and "thread" not in str(found).splitlines()[0]
    adamw = next(line for line in found.lines if line.op == "adamw")
    flat = Transformer(CONFIG, seed=None).params.flat.size
    assert adamw.bytes == (34 if precision == "bf16" else 32) * flat, "8 times a float32, and the 16-bit copy"


@pytest.mark.parametrize("shape", [LLAMA, GPT2 | dict(dropout=0.1)], ids=["llama", "gpt2"])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_flops_claimed_are_those_that_the_reference_executes(shape, recompute):
    config, count = Config(**shape), Count()
    model, tokens = Transformer(config), np.zeros((3, 7), int)
    model.with_ops(counting(model.ops, count)).loss_and_grads(tokens, tokens, recompute=recompute, dropout_key=1)
    executed = {op: tally.matmul + tally.elementwise for op, tally in count.by_op.items()}
    claimed = gpu_profile.claimed_flops(config, 3, 7, recompute)
    assert claimed.pop("adamw") == flops.adamw(config, clipped=True).elementwise
    for op in executed.keys() - {"add"}:
        collected = claimed[op] - executed[op]
        assert 0 <= collected <= config.num_parameters(), "gradients are added to their buffer, or are the buffer"


def test_the_step_is_a_training_step(gpu, unchecked, monkeypatch):
    """Its gradient is the model's, and the parameters move by its tiny learning rate."""
    model, tokens, times, seen = Transformer(CONFIG, device="cuda"), np.random.default_rng(0).integers(0, 50, (3, 9)), Times(), []
    before, table = on_host(model.params.flat).copy(), updates.of(model.ops)
    judge = table.judge
    monkeypatch.setattr(table, "judge", lambda grads, *rest: seen.append(on_host(grads).copy()) or judge(grads, *rest))
    step = gpu_profile.a_step(model, tokens, False)
    for _ in range(2):
        step(model.with_ops(timing(model.ops, times)), times)
    _, expected = Transformer(CONFIG).loss_and_grads(tokens[:, :-1], tokens[:, 1:])
    for grads in seen:
        np.testing.assert_allclose(grads, expected.flat, rtol=1e-3, atol=1e-6)
    assert len(seen) == 2 and 0 < np.abs(on_host(model.params.flat) - before).max() < 1e-6


def test_the_command(gpu, unchecked, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text("\n".join(f"{name} = {value}" for name, value in (LLAMA | dict(vocab_size=50)).items()))
    words = ["profile", "--preset", str(tmp_path / "tiny.toml"), "--batch", "2", "--steps", "1", "--device", "cuda"]
    for more in (["--precision", "fp32", "--png", str(tmp_path / "roof.png")], ["--json"]):
        assert not cli.run([*words, *more])
        out = capsys.readouterr().out
        assert "one NVIDIA H200, fp32" in out if "--png" in more else json.loads(out)["where"].startswith("one NVIDIA H200, bf16")
    for more, said in ((["--dtype", "float32"], "--precision"), (["--threads", "2"], "are the CPU's")):
        with pytest.raises(ValueError, match=said):
            cli.run([*words, *more])
    with pytest.raises(ValueError, match="--precision is for a GPU"):
        cli.run(["profile", "--precision", "bf16"])


def test_a_step_that_has_no_room_is_refused_before_anything_is_made(gpu):
    with pytest.raises(ValueError, match="no room for this on the GPU. .* No batch is small enough"):
        gpu_profile.of_step(Config.preset("llama3-405b"), 1, 8)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        gpu_profile.of_step(CONFIG, 0, 8)
