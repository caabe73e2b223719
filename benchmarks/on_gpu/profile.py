"""Part 4: where the time of a training step goes, by operation, on the GPU's own clock: events before and after each, and nobody waits. The
host launches everything anew, though, so the GPU may be idle between operations of a small model; what is large here is worth making faster."""

import statistics
import time
from typing import Any

from .child import Measurement
from .contenders import Batches
from .training import LARGE, cases

STEPS = 3


def measurements(place: Any) -> list[Measurement]:
    return [Measurement(name, lambda case=case: profile(place, case), least=place.size(10, 1))
            for name, case in cases(place).items() if case["steps"] == LARGE]


def profile(place: Any, case: dict) -> dict:
    import minillm
    from minillm.cost import Times, flops, timing
    config = minillm.Config.from_dict(case["config"])
    model = minillm.Transformer(config, dtype="bfloat16", device="cuda")
    tokens, targets, _ = Batches(config.vocab_size, case["b"], case["t"]).batch(0)
    given, params, grads = model.received(tokens, targets), model.computing_params(), model.params.zeros()
    seen: dict[tuple[str, str], list[float]] = {}
    whole: list[float] = []
    for step in range(STEPS + 1):
        times = Times()
        timed = model.with_ops(timing(model.ops, times))
        place.wait()
        began = time.perf_counter()
        _, cache = timed.loss_of(*given, params)
        timed.backward(cache, into=grads)
        place.wait()
        del cache
        if step:                                 # the first one compiles
            whole.append(time.perf_counter() - began)
            times.settle()
            sums: dict[tuple[str, str], float] = {}
            for _, op, direction, spent in times.calls:
                sums[op, direction] = sums.get((op, direction), 0.0) + spent.seconds
            for key, seconds in sums.items():
                seen.setdefault(key, []).append(seconds)
    bill = flops.of_model(config, case["b"], case["t"]).by_op
    by_op = {op: {"flops": bill.get(op, 0)} for op, _ in seen}
    for (op, direction), seconds in seen.items():
        by_op[op][direction] = statistics.median(seconds)
    return {"case": case, "seconds": statistics.median(whole), "by_op": by_op}
