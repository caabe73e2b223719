"""Does it fit? The memory of each device that a model is trained on, and the smallest number of devices.

    memory of a device = states / devices (what ZeRO shards of them) + the rest, which no number of devices makes smaller:
                         activations of the texts that it works on at once, temporary arrays, one layer gathered from the others
    smallest number of devices = ⌈sharded states / (memory − the rest)⌉

Every device works on texts of its own (data parallelism). Cutting matrices or layers in pieces for several devices isn't modelled, and
temporary arrays are those of this package's reference operations: kernels that fuse more make fewer.
"""

from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

from ..model.config import Config
from . import memory


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, by part; `sharded`: those of the states that more devices make smaller, all devices' together."""

    parts: dict[str, float]
    sharded: float
    devices: int
    recompute: bool

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    @property
    def fixed(self) -> float:
        """What no number of devices makes smaller."""
        return self.total - self.sharded / self.devices


def on_a_device(config: Config, t: int, devices: int = 1, precision: str = "bf16", zero: int = 3, micro_batch: int = 1,
                recompute: bool = False, attention: memory.Attention = "blocks") -> Memory:
    """The memory of each of `devices` that work on `micro_batch` texts of t tokens at a time."""
    for what, value in (("micro-batch", micro_batch), ("number of devices", devices), ("length of a text", t)):
        if value < 1:
            raise ValueError(f"The {what} must be at least 1, not {value}.")
    size, n = memory.precision_named(precision), config.num_parameters()
    alone, shared = memory.states(n, size, zero, 1), memory.states(n, size, zero, 10**6)
    sharded = sum(alone[name] for name in alone if shared[name] < alone[name])
    unit = max(sum(prod(shape) for shape in config.layer_shapes().values()), config.vocab_size * config.d_model)
    gathered = unit * ((size.weights if zero == 3 else 0) + (size.gradients if zero >= 2 else 0))
    parts = dict(memory.states(n, size, zero, devices))
    parts["activations"] = sum(memory.activations(config, micro_batch, t, size, recompute, attention).values())
    parts["temporary"] = memory.temporary(config, micro_batch, t, size, recompute, attention)
    if gathered and devices > 1:
        parts["one layer, gathered"] = gathered
    return Memory(parts, sharded, devices, recompute)


def fewest(config: Config, t: int, capacity: float, **options) -> int | None:
    """The smallest number of devices that it fits on; None if it fits on no number of them."""
    if on_a_device(config, t, 1, **options).total <= capacity:
        return 1
    several = on_a_device(config, t, 2, **options)
    room = capacity - several.fixed
    return max(2, ceil(several.sharded / room)) if room > 0 and several.sharded else None


def fitting(config: Config, t: int, devices: int, capacity: float, recompute: Literal["auto", "yes", "no"] = "auto", **options) -> Memory:
    """The memory of a device, with recompute if it is asked for, or on "auto" if nothing fits without; a sentence if nothing does."""
    choices = CHOICES[recompute]
    for again in choices:
        needed = on_a_device(config, t, devices, recompute=again, **options)
        if needed.total <= capacity:
            return needed
    least = fewest(config, t, capacity, recompute=choices[-1], **options)
    problem = (f"The model doesn't fit: each of {devices:,} device{'s' * (devices > 1)} would need {gigabytes(needed.total)} "
               f"and has {gigabytes(capacity)}.")
    if least is not None and least > devices:
        raise ValueError(f"{problem} It would fit on {least:,} of them.")
    advice = "shorter texts, a smaller micro-batch, ZeRO stage 3" + (", recomputing activations" if not choices[-1] else "")
    raise ValueError(f"{problem} {gigabytes(needed.fixed)} of that stay however many there are. Try {advice} or a device with more memory.")


CHOICES = {"auto": (False, True), "yes": (True,), "no": (False,)}        # whether to recompute, in the order in which they are tried


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


# --- the whole account ---------------------------------------------------------------------------------------------------------------------

def account(config: Config, b: int = 1, t: int | None = None, precision: str = "bf16", devices: int = 1, zero: int = 0,
            recompute: bool = False, attention: memory.Attention = "blocks", threads: int = 1) -> dict:
    """Everything that can be said of a model's memory, as plain data: to run it, to train it, and what one block's activations are.
    `threads`: for the peak of a step of this package on a CPU, in float32."""
    t, size, n = config.max_seq_len if t is None else t, memory.precision_named(precision), config.num_parameters()
    if b < 1 or t < 1 or threads < 1:
        raise ValueError(f"Texts, their length and the number of threads must be at least 1, not {min(b, t, threads)}.")
    if config.positions == "learned" and t > config.max_seq_len:
        raise ValueError(f"Texts of {t:,} tokens don't fit: the model's learned positions end at max_seq_len = {config.max_seq_len:,}.")
    found = {"parameters": n, "precision": precision, "b": b, "t": t,
             "run": {"weights": memory.weights(config, size), "keys and values": memory.kv_cache(config, b, t, size),
                     "logits of a token": b * config.vocab_size * 4}}
    if not size.gradients:
        return found
    needed = on_a_device(config, t, devices, precision, zero, b, recompute, attention)
    found |= {"train": needed.parts, "devices": devices, "zero": zero, "recompute": recompute, "attention": attention,
              "states_one_device": memory.states(n, size), "activations": needed.parts["activations"], "temporary": needed.parts["temporary"],
              "block": memory.block_activations(config, b, t, size, attention), "block_input": b * t * config.d_model * size.activations,
              "block_stored": sum(memory.block_activations(config, b, t, size, "stored").values()), "logits": memory.logits(config, b, t, size)}
    if precision == "fp32" and devices == 1 and attention == "blocks":
        found["step"] = memory.of_step(config, b, t, threads, recompute=recompute) | {"threads": threads}
    return found
