"""What a training run takes: from a model, a number of tokens and some devices to FLOPs, days, money and gigabytes.

    C          = FLOPs a token · tokens                            under a stated convention; 6ND is the shortest
    PF/s-days  = C / 8.64e19                                       a petaflop each second, for a day
    wall time  = C / (devices · peak · MFU)                        MFU: the share of the peak that goes into C
    device-hours = devices · wall time                             and, times a price, money

An MFU belongs to the convention it was computed with. The default is PaLM's, which introduced it: 6 for every parameter, and attention in full.
"""

import difflib
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ..files import read_json_object
from ..model.config import Config
from ..ops.rope import Llama3Scaling
from . import flops, hardware
from .sharding import CHOICES, fewest, fitting

PF_DAY = 1e15 * 86400
LONGEST = 2**22                                  # tokens in a text
UNITS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15}


# --- what people write ---------------------------------------------------------------------------------------------------------------

def number(text: str, what: str) -> float:
    """15T, 1.5e12, 300B, 40k, 4_000_000; `what`: what it is the number of, for a sentence."""
    found = re.fullmatch(r"(-?[\d.]+(?:e[+-]?\d+)?)([kmbgtp]?)", re.sub(r"[_, ]", "", text.strip().lower()))
    try:
        value = float(found[1]) * UNITS[found[2]] if found else None
    except ValueError:                           # 1.2.3
        value = None
    if value is None:
        raise ValueError(f"The {what} must be a number such as 15T, 300B, 1.5e12 or 4_000_000, not {text!r}.")
    if not 0 < value < 1e30:
        raise ValueError(f"The {what} must be above 0 and below 1e30, not {text}.")
    return value


def devices_named(text: str, peak: float | None = None, memory: float | None = None, dtype: str = "bf16") -> tuple[int, hardware.Device]:
    """1024xH100, or H100 for one; the rest is hardware.named's."""
    found = re.fullmatch(r"(?:([\d_,]+)\s*[x×*]\s*)?([A-Za-z].*)", text.strip())
    if not found:
        raise ValueError(f"Devices are given as COUNTxNAME, such as 8xA100 or 1024xH100, not {text!r}.")
    count = int(re.sub(r"[_,]", "", found[1] or "1") or 0)
    if count < 1:
        raise ValueError(f"A run needs at least 1 device, not {count}.")
    return count, hardware.named(found[2].strip(), peak, memory, dtype)


def config_named(word: str) -> Config:
    """A preset's name, or a TOML or JSON file with the fields of a Config (as the table [model], in a recipe for training); among them,
    `preset` may name one to start from."""
    if word in Config.preset_names():
        return Config.preset(word)
    path = Path(word)
    if not path.is_file():
        close = difflib.get_close_matches(word, Config.preset_names(), n=3)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"There is no preset and no file {word!r}.{meant} The presets are {', '.join(Config.preset_names())}.")
    if path.suffix == ".json":
        values = read_json_object(path)
    else:
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except ValueError as problem:            # of the TOML, or the UTF-8
            raise ValueError(f"{path} can't be read as TOML: {problem}.") from None
    values = values["model"] if isinstance(values.get("model"), dict) else values
    base = values.pop("preset", None)
    if base is None or values.keys() - {field.name for field in fields(Config)}:     # from_dict has the sentence for unknown fields
        return Config.from_dict(values)
    return Config.preset(str(base), **values)


def training_length(config: Config) -> int:
    """Tokens in a text, unless somebody says otherwise: max_seq_len, or what it was before the positions were stretched."""
    scaling = config.rope_scaling
    return scaling.original_max_seq_len if isinstance(scaling, Llama3Scaling) else config.max_seq_len


# --- FLOPs and time --------------------------------------------------------------------------------------------------------------------

def flops_per_token(config: Config, t: int) -> dict[str, float]:
    """Of training, by convention."""
    return {convention: flops.of_model(config, 1, t, convention).per_token for convention in flops.CONVENTIONS}


@dataclass(frozen=True)
class Time:
    """A run of so many FLOPs on devices that together reach this rate."""

    flops: float
    rate: float                     # FLOP/s of all devices together
    devices: int
    price: float | None = None      # of a device for an hour

    def __post_init__(self) -> None:
        if self.price is not None and not 0 <= self.price < float("inf"):
            raise ValueError(f"The price of a device-hour must be 0 or more, not {self.price:g}.")

    @property
    def seconds(self) -> float:
        return self.flops / self.rate

    @property
    def device_hours(self) -> float:
        return self.devices * self.seconds / 3600

    @property
    def cost(self) -> float | None:
        return None if self.price is None else self.device_hours * self.price


# --- the whole plan ----------------------------------------------------------------------------------------------------------------------

def of_run(config: Config, t: int | None = None, tokens: float | None = None, devices: tuple[int, hardware.Device] | None = None,
           mfu: float | None = None, tokens_per_second: float | None = None, price: float | None = None, convention: str = "palm",
           dtype: str = "bf16", recompute: Literal["auto", "yes", "no"] = "auto", zero: int = 3, micro_batch: int = 1) -> dict:
    """Everything that can be said of a run, as plain data; what isn't known is left out."""
    t = training_length(config) if t is None else t
    if t > LONGEST:
        raise ValueError(f"Texts of {t:,} tokens are longer than anybody's: at most {LONGEST:,}.")
    per_token = flops_per_token(config, t)
    if convention not in per_token:
        raise ValueError(f"There is no convention {convention!r}; there are {', '.join(per_token)}.")
    refuse_half_a_plan(tokens, devices, mfu, tokens_per_second, price)
    plan = {"parameters": {"all": config.num_parameters(), "non-embedding": flops.num_parameters(config, "non-embedding")},
            "seq_len": t, "flops_per_token": per_token, "convention": convention}
    if tokens is not None:
        total = per_token[convention] * tokens
        plan |= {"tokens": tokens, "flops": {name: each * tokens for name, each in per_token.items()}, "pf_days": total / PF_DAY}
    if devices is None:
        return plan
    count, device = devices
    plan |= {"dtype": dtype, "devices": {"count": count, "name": device.name, "peak": device.peak.get(dtype), "memory": device.memory,
                                         "source": device.source}}
    rate = None
    if tokens_per_second is not None:
        plan |= {"tokens_per_second": tokens_per_second, "reached": reached(per_token, tokens_per_second, device, count, dtype)}
        rate = tokens_per_second * per_token[convention]
    elif mfu is not None:
        rate = mfu * count * known_peak(device, dtype)
        plan |= {"mfu": mfu, "tokens_per_second": rate / per_token[convention]}
    if rate is not None and tokens is not None:
        time = Time(total, rate, count, price)
        plan |= {"seconds": time.seconds, "device_hours": time.device_hours} | ({} if price is None else {"cost": time.cost})
    if device.memory is not None:
        plan["memory"] = room(config, t, count, device.memory, recompute, precision=dtype, zero=zero, micro_batch=micro_batch)
    return plan


def room(config: Config, t: int, count: int, capacity: float, recompute: Literal["auto", "yes", "no"], **options: Any) -> dict:
    needed = fitting(config, t, count, capacity, recompute, **options)
    least = {"recomputing" if again else "keeping": fewest(config, t, capacity, recompute=again, **options) for again in CHOICES[recompute]}
    return {"parts": needed.parts, "total": needed.total, "recompute": needed.recompute, "zero": options["zero"],
            "micro_batch": options["micro_batch"], "fewest_devices": least}


def refuse_half_a_plan(tokens: float | None, devices: Any, mfu: float | None, tokens_per_second: float | None, price: float | None) -> None:
    if mfu is not None and not 0 < mfu <= 1:
        raise ValueError(f"The MFU is a share of the peak, above 0 and at most 1, not {mfu:g}.")
    if mfu is not None and (tokens is None or devices is None):
        raise ValueError("An MFU makes a time out of tokens and devices: give --tokens and --gpus too.")
    if tokens_per_second is not None and devices is None:
        raise ValueError("Tokens per second make an MFU on devices: give --gpus too.")
    if tokens_per_second is not None and mfu is not None:
        raise ValueError("Give --mfu, what you expect, or --tokens-per-second, what was measured, not both: each follows from the other.")
    if price is not None and (tokens is None or mfu is None and tokens_per_second is None):
        raise ValueError("A price is for the hours of a run: give --tokens, --gpus, and --mfu or --tokens-per-second too.")


def known_peak(device: hardware.Device, dtype: str) -> float:
    if dtype not in device.peak:
        raise ValueError(f"The peak of a {device.name} for {dtype} isn't known; those for {', '.join(device.peak)} are. "
                         "Choose one of them with --dtype, or give it with --peak.")
    return device.peak[dtype]


def reached(per_token: dict[str, float], tokens_per_second: float, device: hardware.Device, count: int, dtype: str) -> dict[str, float]:
    """The MFU of a measured run, by convention; nothing where the peak isn't known."""
    shares = {name: hardware.mfu(each * tokens_per_second, device, count, dtype) for name, each in per_token.items()}
    shares = {name: share for name, share in shares.items() if share is not None}
    if shares and shares["6nd"] > 1:
        raise ValueError(f"That would be {shares['6nd']:.0%} of the peak of {count:,} × {device.name} ({device.peak[dtype] / 1e12:g} TFLOP/s each, "
                         "dense). Are these the right devices, and are the tokens per second those of all of them together?")
    return shares
