"""Where the time of a training step goes: each operation's seconds, FLOP/s and bytes/s, held against what the machine can do.

    the roofline    attainable FLOP/s = min(peak, intensity · bandwidth)       intensity: FLOPs for each byte that must move

Both ceilings are measured here, now, in the same process: the peak by large matrix products, the bandwidth by copying arrays that no
cache holds. Left of the ridge (peak ÷ bandwidth) an operation waits for memory, right of it for arithmetic; how far below the roof it
lies is what a better program could win. FLOPs are counted as executed (cost/counting.py), in a step of its own, so that counting costs no
time here; bytes are the least that must move (cost/timing.py); and seconds are medians over several steps.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import updates
from ..arrays import blas_threads, in_threads, num_threads, reuse_memory, set_num_threads
from ..cost import counters, memory
from ..cost.counting import Count, counting
from ..cost.flops import adamw, of_model
from ..cost.mfu import product_rate
from ..cost.sharding import gigabytes
from ..cost.timing import Spent, Times, timing
from ..model.config import Config
from ..model.transformer import Transformer
from .step import Gradients, loss_and_grads


@dataclass(frozen=True)
class Line:
    """One operation in one step."""

    op: str
    calls: int
    seconds: float              # of the step's time: those of all threads, divided by their number
    flops: int
    bytes: int
    forward: float              # the share of its time that it spends in forward

    @property
    def rate(self) -> float:
        return self.flops / self.seconds

    @property
    def bandwidth(self) -> float:
        return self.bytes / self.seconds

    @property
    def intensity(self) -> float:
        return self.flops / self.bytes


@dataclass(frozen=True)
class Profile:
    lines: list[Line]           # the slowest first
    seconds: float              # of a step that nobody times within
    timed_seconds: float        # of one with a clock around each operation
    threads: int
    tokens: int
    needed: int                 # FLOPs of a step by "exact"
    peak: float                 # FLOP/s and bytes/s, measured
    bandwidth: float
    by_hardware: float | None   # FLOPs that the processor itself counted in a step on one thread, over those counted here
    why_not: str
    where: str = ""             # a GPU; else it is this machine's threads

    @property
    def mfu(self) -> float:
        return self.needed / self.seconds / self.peak

    @property
    def ridge(self) -> float:
        return self.peak / self.bandwidth

    def roof(self, intensity: float) -> float:
        return min(self.peak, intensity * self.bandwidth)

    def __str__(self) -> str:
        lines = [f"A step of {self.tokens:,} tokens takes {1e3 * self.seconds:,.1f} ms on {self.where or f'{self.threads} thread(s)'}, "
                 f"{self.tokens / self.seconds:,.0f} tokens/s (with the clocks inside {1e3 * self.timed_seconds:,.1f} ms).", "",
                 f"{'operation':22}{'calls':>7}{'ms':>10}{'share':>8}{'forward':>9}{'GFLOP/s':>10}{'GB/s':>8}{'FLOPs/byte':>12}{'of the roof':>13}"]
        for line in self.lines:
            lines.append(f"{line.op:22}{line.calls:7,}{1e3 * line.seconds:10.2f}{line.seconds / self.timed_seconds:8.1%}{line.forward:9.0%}"
                         f"{line.rate / 1e9:10,.1f}{line.bandwidth / 1e9:8,.1f}{line.intensity:12,.1f}{line.rate / self.roof(line.intensity):13.0%}")
        rest = self.timed_seconds - sum(line.seconds for line in self.lines)
        lines += [f"{'between them':22}{'':7}{1e3 * rest:10.2f}{rest / self.timed_seconds:8.1%}   "
                  "residual additions, the sum of the threads' gradients, Python", "",
                  f"The roof, measured here: {self.peak / 1e9:,.1f} GFLOP/s in large matrix products, {self.bandwidth / 1e9:,.1f} GB/s in "
                  f"copying; they meet at {self.ridge:,.1f} FLOPs a byte.",
                  f"The mathematics needs {self.needed / self.tokens:.4g} FLOPs a token: {self.needed / self.seconds / 1e9:,.1f} GFLOP/s, "
                  f"an MFU of {self.mfu:.1%} of those products' rate."]
        lines.append(f"The processor's own counters saw {self.by_hardware:.3f} times the FLOPs counted here." if self.by_hardware is not None
                     else f"No hardware counters: {self.why_not}.")
        return "\n".join(lines)


def of_step(config: Config, b: int, t: int, steps: int = 5, dtype: str = "float32", recompute: bool = False) -> Profile:
    """Profiles a step of training on b random texts of t tokens: forward, backward, clipping and AdamW, on all threads."""
    if min(b, t, steps) < 1:
        raise ValueError(f"Texts, their length and the number of steps must be at least 1, not {min(b, t, steps)}.")
    refuse_too_large(config, b, t, dtype, recompute)
    reuse_memory()
    model = Transformer(config, dtype=dtype)
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, (b, t + 1))
    step = a_step(model, tokens, recompute)
    step(model, Times())                         # makes what is only made once
    plain = statistics.median(seconds(lambda: step(model, Times())) for _ in range(steps))
    timed, peak, bandwidth = [], 0.0, 0.0
    for _ in range(steps):                       # taking turns, so that a machine with other work to do slows all three alike
        times = Times()
        timed.append((seconds(lambda times=times: step(model.with_ops(timing(model.ops, times)), times)), times))
        peak = max(peak, product_rate(dtype, seconds=0.2))
        bandwidth = max(bandwidth, copy_rate())
    threads = min(num_threads(), b)
    flops = counted_flops(model, step)
    by_hardware, why_not = ask_the_processor(model, tokens, recompute)
    return Profile(sorted(lines([times for _, times in timed], flops, threads), key=lambda line: -line.seconds), plain,
                   statistics.median(whole for whole, _ in timed), threads, b * t, of_model(config, b, t).total, peak, bandwidth,
                   by_hardware, why_not)


def refuse_too_large(config: Config, b: int, t: int, dtype: str, recompute: bool) -> None:
    """Better said now than by the system, which would end the process in the middle."""
    from ..doctor import memory_limit, memory_sizes
    (total, available), (limit, used) = memory_sizes(), memory_limit()
    free = min(total if available is None else available, total if limit is None else limit - used)
    needed = sum(memory.of_step(config, b, t, num_threads(), recompute=recompute).values()) * (2 if dtype == "float64" else 1)
    if needed > free:
        raise ValueError(f"A step of this model would need {gigabytes(needed)}, and {gigabytes(free)} are free here. Take fewer or shorter texts, "
                         "--recompute, or a smaller model.")


def a_step(model: Transformer, tokens: Any, recompute: bool) -> Callable[[Transformer, Times], None]:
    """step(model, times): one training step, its optimizer timed too."""
    gradients, m, v, table = Gradients(model.params), model.params.zeros().flat, model.params.zeros().flat, updates.of(model.ops)

    def step(model: Transformer, times: Times) -> None:
        loss_and_grads(model, tokens[:, :-1], tokens[:, 1:], gradients, recompute=recompute)
        began = time.perf_counter()
        _, scale = table.clip(gradients.total.flat, 1.0, in_place=False)
        table.adamw(model.params.flat, gradients.total.flat, m, v, 1, 1e-9, decayed=model.params.num_matrix_numbers, grad_scale=scale)
        moved = 8 * gradients.total.flat.nbytes                              # reads g twice, p, m and v once; writes p, m and v
        workers = min(num_threads(), len(tokens))
        times.calls.append(("optimizer", "adamw", "optimizer", Spent(1, workers * (time.perf_counter() - began), moved)))

    return step


def counted_flops(model: Transformer, step: Callable) -> dict[str, int]:
    """Executed in one step, by operation."""
    count = Count()
    step(model.with_ops(counting(model.ops, count)), Times())
    executed = {op: tally.matmul + tally.elementwise for op, tally in count.by_op.items()}
    return executed | {"adamw": adamw(model.config, clipped=True).elementwise}


def lines(runs: list[Times], flops: dict[str, int], threads: int) -> list[Line]:
    """Medians over the runs."""
    made = []
    for op, spent in runs[0].by_op.items():
        of_op = statistics.median(times.by_op[op].seconds for times in runs) / threads
        forward = sum(call[3].seconds for call in runs[0].calls if call[1:3] == (op, "forward")) / spent.seconds
        made.append(Line(op, spent.calls, of_op, flops.get(op, 0), spent.bytes, forward))
    return made


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def copy_rate(size: int = 2**27, patience: float = 0.2) -> float:
    """Bytes a second, read and written, of copying `size` bytes on all threads: the best of those that fit into `patience` seconds."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    edges = np.linspace(0, size, num_threads() + 1).astype(int)
    parts = [slice(*pair) for pair in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]

    def copy() -> None:
        in_threads(lambda part: np.copyto(target[part], source[part]), parts)

    end, best = time.perf_counter() + patience, seconds(copy)
    while time.perf_counter() < end:
        best = min(best, seconds(copy))
    return 2 * size / best


def ask_the_processor(model: Transformer, tokens: Any, recompute: bool) -> tuple[float | None, str]:
    """FLOPs of forward and backward of one text on one thread: the processor's count over ours; or None, and why."""
    before = num_threads()
    set_num_threads(1)
    try:
        with blas_threads(1):
            def one(table: Any) -> None:
                model.with_ops(table).loss_and_grads(tokens[:1, :-1], tokens[:1, 1:], recompute=recompute)

            found = counters.flops_by_hardware(lambda: one(model.ops))
            count = Count()
            one(counting(model.ops, count))
            total = count.total
            return found / (total.matmul + total.elementwise), ""
    except counters.Unavailable as reason:
        return None, str(reason)
    finally:
        set_num_threads(before)
