"""Where the time of a training step on a GPU goes: profile.py's account, with the GPU's own clock.

The host only orders work, so its clock says nothing of an operation. Events say when: each is a note between two launches, which the GPU
stamps with the time when it comes by. A step is run three ways:

    as training runs it    a CUDA graph, with one look at the clock before and one behind: the seconds of a step
    with events            launched operation by operation, with an event before and behind each: where they go. Where the host is slower at
                           ordering than the GPU at working, as for small models, the gaps are in it, and the graph's step is shorter
    large products, and copies, for the two ceilings

FLOPs are those that the operations claim, which counting puts to the test on the CPU (cost/counting.py); recompute's are in them.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import gpu, updates
from ..cost import fitting
from ..cost.flops import adamw, calls, of_model
from ..cost.mfu import product_rate
from ..cost.timing import Clock, Times, timing
from ..kernels.repeated import Repeated
from ..model.config import Config
from ..model.precision import Precision, name, placed, usual
from ..model.transformer import Transformer
from .profile import Profile, lines, seconds

WARM_UP = 8                                      # steps, in which the graph is made
COPIED = 2**28                                   # bytes: no cache holds them


@gpu.explained()
def of_step(config: Config, b: int, t: int, steps: int = 5, precision: Precision | None = None, recompute: bool = False) -> Profile:
    """profile.of_step's, on a GPU."""
    if min(b, t, steps) < 1:
        raise ValueError(f"Texts, their length and the number of steps must be at least 1, not {min(b, t, steps)}.")
    where = placed("cuda", precision)            # which refuses what this GPU is too old for
    needed, room = fitting.Step(config, b, t, precision or usual("cuda"), recompute=recompute), fitting.room(gpu.array_module())
    if not needed.fits(room.free):
        raise ValueError(f"There is no room for this on the GPU. {fitting.what_fits(needed, room)}")
    model = Transformer(config, **where)
    step, xp = a_step(model, np.random.default_rng(0).integers(0, config.vocab_size, (b, t + 1)), recompute), model.xp
    repeated = Repeated(lambda: step(model, None), xp)

    def whole() -> None:
        repeated()
        xp.cuda.get_current_stream().synchronize()

    for _ in range(WARM_UP):
        whole()
    plain = statistics.median(seconds(whole) for _ in range(steps))
    timed, peak, bandwidth = [], 0.0, 0.0
    for _ in range(steps):                       # taking turns, so that a GPU that grows warm slows all three alike
        times, clock = Times(), Clock(xp)
        step(model.with_ops(timing(model.ops, times)), times)
        clock.stop()
        timed.append((clock.read(), times))
        peak = max(peak, product_rate(name(model), "cuda", seconds=0.2))
        bandwidth = max(bandwidth, copy_rate(xp))
    made = lines([times for _, times in timed], claimed_flops(config, b, t, recompute), threads=1)
    device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    return Profile(sorted(made, key=lambda line: -line.seconds), plain, statistics.median(whole for whole, _ in timed), 1, b * t,
                   of_model(config, b, t).total, peak, bandwidth, None, "they are a processor's",
                   f"one {device}, {name(model)}{', as a CUDA graph' if repeated.mode == 'graph' else ''}")


def a_step(model: Transformer, tokens: Any, recompute: bool) -> Callable[[Transformer, Times | None], None]:
    """step(model, times): one training step that reads and writes the same arrays each time, its optimizer timed too."""
    xp, table = model.xp, updates.of(model.ops)
    params, grads, m, v = model.computing_params(), model.params.zeros(), model.params.zeros().flat, model.params.zeros().flat
    inputs, targets = (xp.asarray(np.ascontiguousarray(ids)) for ids in (tokens[:, :-1], tokens[:, 1:]))
    now, verdict = xp.asarray(table.numbers_of_step(1, 1e-9, 0.9, 0.95, 0.1)), xp.ones(3, "float64")
    copy = None if params is model.params else params.flat

    def step(model: Transformer, times: Times | None) -> None:
        grads.flat.fill(0)
        loss, cache = model.loss_of(inputs, targets, None, params, denominator=float(targets.size), recompute=recompute)
        model.backward(cache, into=grads)
        clock = Clock(xp) if times is not None else None
        table.judge(grads.flat, loss, 1.0, verdict)
        table.adamw_judged(model.params.flat, grads.flat, m, v, now, verdict, 0.9, 0.95, 1e-8, model.params.num_matrix_numbers, copy)
        if clock is not None:
            clock.stop()                         # reads g twice, p, m and v once; writes p, m, v and the copy
            times.note(("optimizer", "adamw", "optimizer"), 8 * grads.flat.nbytes + (0 if copy is None else copy.nbytes), clock)

    return step


def claimed_flops(config: Config, b: int, t: int, recompute: bool) -> dict[str, int]:
    """Of one step, by operation."""
    claimed: dict[str, int] = {}
    for call in calls(config, b, t):
        each = (call.flops.forward + call.flops.backward_total) * call.times
        work = each + call.again if recompute else each
        claimed[call.op] = claimed.get(call.op, 0) + work.matmul + work.elementwise
    return claimed | {"adamw": adamw(config, clipped=True).elementwise}


def copy_rate(xp: Any, size: int = COPIED, times: int = 10) -> float:
    """Bytes a second, read and written, of copying `size` bytes: the best of several."""
    source, target, taken = xp.ones(size, "uint8"), xp.zeros(size, "uint8"), []
    for _ in range(times):
        clock = Clock(xp)
        target[...] = source
        clock.stop()
        taken.append(clock.read())
    return 2 * size / min(taken)
