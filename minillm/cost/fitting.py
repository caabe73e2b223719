"""Will a training step fit on this GPU; and where it doesn't, what would. Sentences for before a run begins, and for when memory has run out.

    needed = what the weights cost + what a micro-batch costs           (gpu_memory.py predicts both)

The first part no flag makes smaller. The second shrinks with fewer texts at a time (more micro-batches: the same gradient) and with
recompute (the same gradient, a third more time). Where one text alone is too much even so, the texts must become shorter; where the first
part alone is too much, the model smaller.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

from ..model.config import Config
from . import gpu_memory, memory
from .hardware import Device
from .sharding import gigabytes

SPARE = 0.03                                     # of the free memory: what the allocator loses between arrays
CUDAS_OWN = 2e9                                  # bytes: more than CUDA takes for itself when a process starts
LENGTHS = 16                                     # texts that would fit are rounded down to a multiple of this many tokens
OF_A_MICRO_BATCH = ("activations", "temporary", "batch", "evaluation")


class Room(NamedTuple):
    """Bytes of a GPU: free for this process, what it holds already included; and of the whole card, if that is known."""

    free: int
    total: int | None = None


def room(xp: Any) -> Room:
    """Of the GPU that the array module `xp` works on. A limit that was set for CuPy's pool of memory counts."""
    free, total = xp.cuda.runtime.memGetInfo()
    pool = xp.get_default_memory_pool()
    return Room(min(free + pool.total_bytes(), pool.get_limit() or total), total)


class Step(NamedTuple):
    """A step as it was asked for; `options` are more of gpu_memory.of_step's."""

    config: Config
    b: int
    t: int
    precision: str = "bf16"
    micro_batches: int = 1
    recompute: bool = False
    options: dict[str, bool] = {}

    def parts(self) -> dict[str, int]:
        *step, options = self
        return memory.of_gpu_step(*step, **options)

    @property
    def needed(self) -> int:
        return sum(self.parts().values())

    def fits(self, free: int) -> bool:
        return self.needed <= (1 - SPARE) * free


def before_training(step: Step, room: Room) -> str | None:
    """None if the step will fit; a warning if it probably won't; a ValueError if it needs twice what there is, so surely won't."""
    if step.fits(room.free):
        return None
    said = what_fits(step, room)
    if step.needed > 2 * room.free:
        raise ValueError(f"This run doesn't fit on the GPU. {said}")
    return f"This run may not fit on the GPU. {said}"


def what_fits(step: Step, room: Room) -> str:
    """What a step needs, what there is, and what would fit: for who has run out of memory."""
    return f"{needs(step)} {there_is(*room)} {remedy(step, room.free)}"


def planned(config: Config, b: int, t: int, precision: str, micro_batches: int = 1, recompute: bool = False, device: Device | None = None) -> dict:
    """A step on a GPU that isn't here, as plain data: its bytes by part, and in a sentence whether it fits on that device. Nothing for what
    minillm doesn't train in."""
    if device is not None and not device.source.startswith("NVIDIA"):
        raise ValueError(f"minillm's kernels are CUDA's, for GPUs by NVIDIA: a {device.name} can't run them.")
    if precision not in gpu_memory.ON_A_GPU:
        return {}
    step = Step(config, b, t, precision, micro_batches, recompute)
    found: dict = {"gpu_step": step.parts(), "micro_batches": micro_batches, "recompute": recompute}
    if device is None:
        return found
    if precision == "bf16" and "bf16" not in device.peak:
        return found | {"gpu_verdict": f"A {device.name} is too old for bf16: take --dtype fp32."}
    memory = int(device.memory)
    if step.fits(memory):
        return found | {"gpu_verdict": f"It fits on one {device.name}, which has {gigabytes(memory)}."}
    return found | {"gpu_verdict": f"It doesn't fit on one {device.name}, which has {gigabytes(memory)}. {remedy(step, memory)}"}


def needs(step: Step) -> str:
    """With the largest parts."""
    parts, rows = sorted(step.parts().items(), key=lambda part: -part[1]), -(-step.b // step.micro_batches)
    shown = ", ".join(f"{name} {gigabytes(size)}" for name, size in parts[:4])
    how = step.precision + ", with recompute" * step.recompute
    return (f"A step on {rows:,} text{'s' * (rows != 1)} of {step.t:,} tokens at a time ({how}) needs about {gigabytes(step.needed)}: "
            f"{shown} and less.")


def there_is(free: int, total: int | None) -> str:
    if total is None:
        return f"The GPU has {gigabytes(free)} for it."
    others = total - free
    held = f": {gigabytes(others)} are held by others (nvidia-smi lists who, and which GPU would be free)" if others > CUDAS_OWN else ""
    return f"Of the GPU's {gigabytes(total)}, it can have {gigabytes(free)}{held}."


def remedy(step: Step, free: int) -> str:
    """The smallest changes that make it fit."""
    if step.fits(free):
        return ("By this account it should fit: what is lost between arrays must be more than usual, or another process has come since. "
                "More micro-batches (--micro-batches) or --recompute leave more room.")
    ways: list[Step] = []
    for again in (True,) if step.recompute else (False, True):
        pieces = fewest_micro_batches(step._replace(recompute=again), free)
        if pieces is not None and all(pieces < way.micro_batches for way in ways):           # to compute again must save something
            ways.append(step._replace(micro_batches=pieces, recompute=again))
    if not ways:
        return smaller(step, free)
    return f"It would fit with {', or with '.join(f'{flags(way, step)} ({gigabytes(way.needed)})' for way in ways)}: that is the same gradient."


def fewest_micro_batches(step: Step, free: int) -> int | None:
    """The smallest number of equal pieces of the batch that fit one after another."""
    return next((pieces for pieces in range(1, step.b + 1) if step.b % pieces == 0 and step._replace(micro_batches=pieces).fits(free)), None)


def flags(way: Step, asked: Step) -> str:
    """What differs, as it is written on the command line."""
    changed = [f"--micro-batches {way.micro_batches}"] if way.micro_batches != asked.micro_batches else []
    return " ".join(changed + ["--recompute"] * (way.recompute and not asked.recompute))


def smaller(step: Step, free: int) -> str:
    """Where no way to the same gradient fits."""
    one = step._replace(micro_batches=step.b, recompute=True)
    stays = sum(size for part, size in one.parts().items() if part not in OF_A_MICRO_BATCH)
    if not one._replace(t=LENGTHS).fits(free):
        return (f"No batch is small enough: the weights, their gradient, Adam's m and v and the products' workspace alone take {gigabytes(stays)}. "
                "Take a smaller model, or a GPU with more memory.")
    lengths = range(LENGTHS, step.t, LENGTHS)
    length = lengths[bisect_right(lengths, False, key=lambda t: not one._replace(t=t).fits(free)) - 1]
    return (f"Even one text at a time, with recompute, needs {gigabytes(one.needed)}. Texts of up to {length:,} tokens would fit "
            f"(--context {length} {flags(one, step)}); or take a smaller model.")
