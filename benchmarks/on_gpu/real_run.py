"""Part 6: a real run. llama-small learns tales, byte by byte, for the time that is left: text without end, from nowhere but this package,
of which the least possible loss is known. Its first steps are held to the same steps on the CPU, in float32: same seed, same batches."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .child import Measurement
from .place import ROOT

END, SEED = 256, 0              # between two tales; below it are the bytes
LR = 6e-4
TOLERANCE = 0.02                # nats, from the CPU's loss in the first steps


def measurements(place: Any) -> list[Measurement]:
    return [Measurement("the first steps", lambda: first_steps(place), limit=400, least=20),
            Measurement("the run", lambda: run(place), limit=3600, least=15)]


class Tales:
    """Row r of step s begins with tale number (s · b + r) · APART: a function of s, so every run sees the same."""

    APART = 16                  # tales; more than a row holds
    fingerprint = "tales, byte by byte"

    def __init__(self, b: int, t: int, seed: int = SEED):
        self.b, self.t, self.seed = b, t, seed

    def batch(self, step: int) -> tuple:
        import numpy as np
        rows = np.array([self.row((step * self.b + r) * self.APART) for r in range(self.b)])
        return rows[:, :-1], rows[:, 1:], None

    def row(self, first: int) -> list[int]:
        ids: list[int] = []
        for tale in self.tales(first):
            ids += [END, *tale.encode()]
            if len(ids) > self.t:
                return ids[:self.t + 1]
        raise AssertionError("tales have no end")

    def tales(self, first: int) -> Iterator[str]:
        from minillm.data import tales
        return tales.stream(self.seed, first)


def config_of(small: bool) -> Any:
    from minillm import Config
    tiny = dict(d_model=32, d_ff=48, num_layers=1, vocab_size=300, max_seq_len=48, num_heads=2, num_kv_heads=1) if small else {}
    return Config.preset("llama-small").replace(**tiny)


def train(device: str, b: int, t: int, steps: int, small: bool, on_step: Any = None) -> list[float]:
    """The losses of a whole run."""
    import minillm
    losses: list[float] = []

    def note(step: int, loss: float) -> None:
        losses.append(loss)
        if on_step is not None:
            on_step(step, loss)

    model = minillm.Transformer(config_of(small), seed=SEED, dtype="float32" if device == "cpu" else "bfloat16", device=device)
    minillm.train(model, Tales(b, t), steps=steps, lr=LR, warmup_steps=max(1, steps // 20), evaluate_every=0, checkpoint_every=0, progress=False,
                  on_step=note)
    return losses


# --- beside a CPU ------------------------------------------------------------------------------------------------------------------

def first_steps(place: Any) -> dict:
    """Small batches, so that a CPU can keep up. It gets a process and a time; as many steps as it made are compared."""
    b, t, steps = place.size((16, 256, 12), (2, 24, 4))         # of 16 rows each core can have one
    deadline = time.monotonic() + min(60.0, place.left() / 3)
    path = place.out / "cpu_losses.txt"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.on_gpu.real_run", str(path), str(b), str(t), str(steps), str(int(place.rehearsal))]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    try:
        ours = train("cuda", b, t, steps, place.rehearsal)
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()
        process.wait()
    cpu = [float(line) for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    apart = [abs(x - y) for x, y in zip(ours, cpu)]
    return {"b": b, "t": t, "losses": ours, "CPU": cpu, "largest difference": max(apart, default=None),
            "wrong": not all(each <= TOLERANCE for each in apart) if apart else None}


def on_cpu(path: str, b: str, t: str, steps: str, small: str) -> None:
    with open(path, "w") as file:
        train("cpu", int(b), int(t), int(steps), small == "1", on_step=lambda _, loss: print(loss, file=file, flush=True))


# --- the run -----------------------------------------------------------------------------------------------------------------------

def run(place: Any) -> dict:
    from minillm.cost import flops
    from minillm.data import tales
    b, t = place.size((32, 1024), (2, 24))
    rate = seconds_of_a_step(place, b, t)
    steps = max(8, int((place.left() - 12) * 0.92 / rate)) if not place.rehearsal else 6
    began, seen = time.perf_counter(), []

    def note(step: int, loss: float) -> None:
        seen.append(time.perf_counter() - began)

    losses = train("cuda", b, t, steps, place.rehearsal, note)
    entropy = tales.entropy(place.size(2000, 50))
    floor = entropy.per_tale / (entropy.per_tale / entropy.per_byte + 1)         # a tale's bytes, and what ends it
    steady = (seen[-1] - seen[len(seen) // 4]) / (len(seen) - 1 - len(seen) // 4)
    last = losses[-max(1, len(losses) // 20):]
    return {"b": b, "t": t, "steps": len(losses), "seconds": seen[-1], "tokens": len(losses) * b * t, "tokens_per_second": b * t / steady,
            "flops": flops.of_model(config_of(place.rehearsal), b, t).total, "step": steady, "first loss": losses[0],
            "last loss": sum(last) / len(last), "floor": floor, "picture": picture(losses, floor, place.out / "loss.png"), "losses": losses}


def seconds_of_a_step(place: Any, b: int, t: int) -> float:
    """Measured on a few steps, so that the run ends when its time is up."""
    times: list[float] = []
    count = place.size(30, 4)
    train("cuda", b, t, count, place.rehearsal, lambda *_: times.append(time.perf_counter()))
    place.free()
    return (times[-1] - times[count // 2]) / (count - 1 - count // 2)


def picture(losses: list[float], floor: float, path: Path) -> str | None:
    """Its name; None without matplotlib."""
    try:
        from minillm import plot
        plot.losses([{"step": step, "loss": loss} for step, loss in enumerate(losses)], path, floor=floor)
    except ImportError:
        return None
    return path.name


if __name__ == "__main__":
    on_cpu(*sys.argv[1:])
