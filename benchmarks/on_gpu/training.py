"""Part 3: tokens a second in training, beside PyTorch: the same model, weights and batches, taking turns on the same card.

GPT-2 and a Llama of its size at t = 1,024, and models as small as students train first. PyTorch's are written in torch_models.py; how both
sides are set up is in contenders.py. FLOPs are those that the mathematics needs (minillm.cost.flops), the peak is the data sheet's.
"""

import importlib.util
import statistics
import time
from typing import Any

from .child import Measurement
from .contenders import Contender

LARGE, SMALL = 5, 60        # steps of a turn
MOST_ROUNDS = 7             # of turns
TOLERANCE = 0.03            # nats, between the losses of ours and PyTorch's in the first steps: bfloat16 rounds in other places


def cases(place: Any) -> dict[str, dict]:
    from minillm import Config
    if place.rehearsal:
        tiny = dict(d_model=32, d_ff=48, num_layers=1, vocab_size=64, max_seq_len=16, num_heads=2, num_kv_heads=2)
        return {name: case(Config.preset(name).replace(**tiny), 2, 12, steps) for name, steps in (("gpt-nano", LARGE), ("llama-nano", 2))}
    size, b = dict(vocab_size=50304, d_model=768, num_layers=12, num_heads=12, d_ff=2048, max_seq_len=1024, tied=True), rows(place)
    return {"GPT-2 124M": case(Config.preset("gpt2", vocab_size=50304), b, 1024, LARGE),         # if time runs out, of each kind one is there
            "llama-nano": case(Config.preset("llama-nano"), 4, 256, SMALL), "Llama 124M": case(Config(**size), b, 1024, LARGE),
            "gpt-nano": case(Config.preset("gpt-nano"), 8, 256, SMALL),
            "llama-micro": case(Config.preset("llama-micro"), 8, 512, SMALL)}


def case(config: Any, b: int, t: int, steps: int) -> dict:
    return {"config": config.to_dict(), "b": b, "t": t, "steps": steps}


def rows(place: Any) -> int:
    """Of a batch: as many as fit beside the others' models, in halves; on a card of 140 GB 32."""
    total = place.xp.cuda.runtime.memGetInfo()[1]
    return next((b for b in (32, 16, 8, 4) if total > 3.2e9 * b), 2)


def measurements(place: Any) -> list[Measurement]:
    names = ["ours", "ours without graph"] + (["PyTorch", "torch.compile"] if has_torch() else [])
    everybody = Everybody(place, names)
    found = [Measurement(name, lambda case=case, large=case["steps"] == LARGE: everybody.race(case, large), limit=220,
                         least=place.size(65 if case["steps"] == LARGE else 35, 5)) for name, case in cases(place).items()]
    return [*found, Measurement("goodbye", everybody.end, least=0)]


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


class Everybody:
    def __init__(self, place: Any, names: list[str]):
        self.place, self.names = place, names
        self.contenders: dict[str, Contender] = {}

    def race(self, case: dict, large: bool) -> dict:
        """Each one's speed, losses and memory. Who isn't ready in time, or fails, is left out, and the others go on."""
        names = self.names + ["torch.compile, graphs"] * (not large and has_torch())
        ready = time.monotonic() + min(self.place.left() - 20, 100)
        for name in names:
            self.of(name).say(do="prepare", case=case)
        prepared = {name: self.of(name).hear(ready - time.monotonic()) for name in names}
        turns: dict[str, list[dict]] = {name: [] for name, answer in prepared.items() if "failed" not in answer}
        end = time.monotonic() + min(self.place.left() - 12, self.place.size(12 if large else 6, 0))
        for number in range(MOST_ROUNDS):
            if number >= 2 and time.monotonic() > end:
                break
            for name in list(turns)[::1 if number % 2 else -1]:
                turns[name].append(self.ask(name, 60, do="steps", count=case["steps"]))
        found = {name: prepared[name] | self.summary(name, turns.get(name, []), case) for name in names}
        for name in names:
            if self.contenders[name].process.poll() is None:                 # who was ended has forgotten
                self.ask(name, 30, do="forget")
        return {"case": case, "contenders": found, "differences": differences(prepared), **about(self.place, case)}

    def summary(self, name: str, turns: list[dict], case: dict) -> dict:
        good = [turn["seconds"] / case["steps"] for turn in turns if "failed" not in turn]
        if not good:
            return {"failed": turns[0]["failed"]} if turns else {}
        step = statistics.median(good)
        return {"step": step, "steps of the turns": good, "tokens_per_second": case["b"] * case["t"] / step,
                "memory": self.ask(name, 30, do="memory")}

    def of(self, name: str) -> Contender:
        if name not in self.contenders or self.contenders[name].process.poll() is not None:
            self.contenders[name] = Contender(name, self.place.rehearsal)
        return self.contenders[name]

    def ask(self, name: str, seconds: float, **message: Any) -> dict:
        contender = self.of(name)
        contender.say(**message)
        return contender.hear(seconds)

    def end(self) -> dict:
        for contender in self.contenders.values():
            contender.end()
        return {}


def differences(prepared: dict[str, dict]) -> dict[str, float]:
    """The largest difference of each one's first losses from PyTorch's."""
    right = prepared.get("PyTorch", {}).get("losses")
    return {} if right is None else {name: max(abs(a - b) for a, b in zip(answer["losses"], right, strict=True))
                                     for name, answer in prepared.items() if "losses" in answer}


def about(place: Any, case: dict) -> dict:
    """What the case needs: FLOPs of a step, and by our own prediction bytes."""
    from minillm import Config
    from minillm.cost import flops, gpu_memory, hardware
    config = Config.from_dict(case["config"])
    card = place.xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    device = None if place.rehearsal else hardware.reported(card)
    return {"flops": flops.of_model(config, case["b"], case["t"]).total, "parameters": config.num_parameters(),
            "peak": device and device.peak.get("bf16"), "predicted memory": sum(gpu_memory.of_step(config, case["b"], case["t"]).values())}
