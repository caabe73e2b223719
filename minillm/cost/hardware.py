"""Devices by name: how fast each multiplies matrices at best, how much it remembers, and how fast it reads that; and what follows.

    MFU = FLOP/s achieved / (devices · peak)      model FLOPs utilisation (Chowdhery et al. 2022): the share of the peak that went
                                                  into the model's own arithmetic; what recompute repeats doesn't count

An MFU is as right as its peak. The classic errors: another card's peak (104 % on an H100 for which an A100's 312e12 was written down),
and the data sheet's larger figure "with sparsity", which holds for matrices of which half is zeros. Peaks here are dense. They can
be checked by hand: a chip has so many units that do so many FLOPs a cycle, at a clock that the vendor publishes (the tests multiply).
A device that isn't in the table has no peak until somebody gives one: then no MFU is printed, rather than a wrong one.

Memory is what the data sheet says, with 1 GB = 1e9 bytes. (Some vendors mean 2³⁰, so up to 7 % more may be there.)
"""

import difflib
import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Device:
    name: str
    peak: dict[str, float]          # FLOP/s of dense matrix products with sums in float32, by dtype; int8: integer operations
    memory: float | None            # bytes; None: not known
    bandwidth: float | None         # bytes/s between that memory and the chip
    source: str


def _device(name: str, memory: float, bandwidth: float, source: str, **teraflops: float) -> Device:
    """In GB, GB/s and TFLOP/s."""
    return Device(name, {dtype: 1e12 * rate for dtype, rate in teraflops.items()}, 1e9 * memory, 1e9 * bandwidth, source)


# fp32 is plain float32 arithmetic; tf32 its fast relative with 10 bits after the point, on tensor cores.
TABLE = [
    _device("V100", 32, 900, "NVIDIA V100 data sheet, SXM2 32 GB", fp32=15.7, fp16=125),
    _device("T4", 16, 320, "NVIDIA T4 data sheet", fp32=8.1, fp16=65, int8=130),
    _device("A10", 24, 600, "NVIDIA A10 data sheet", fp32=31.2, tf32=62.5, fp16=125, bf16=125, int8=250),
    _device("A40", 48, 696, "NVIDIA A40 data sheet", fp32=37.4, tf32=74.8, fp16=149.7, bf16=149.7, int8=299.3),
    _device("A100-40GB", 40, 1555, "NVIDIA A100 data sheet, SXM4 40 GB", fp32=19.5, tf32=156, fp16=312, bf16=312, int8=624),
    _device("A100", 80, 2039, "NVIDIA A100 data sheet, SXM4 80 GB", fp32=19.5, tf32=156, fp16=312, bf16=312, int8=624),
    _device("A100-PCIe", 80, 1935, "NVIDIA A100 data sheet, PCIe 80 GB", fp32=19.5, tf32=156, fp16=312, bf16=312, int8=624),
    _device("L4", 24, 300, "NVIDIA L4 data sheet; half its figures with sparsity", fp32=30.3, tf32=60, fp16=121, bf16=121, fp8=242.5, int8=242.5),
    _device("L40S", 48, 864, "NVIDIA L40S data sheet", fp32=91.6, tf32=183, fp16=362, bf16=362, fp8=733, int8=733),
    _device("H100", 80, 3350, "NVIDIA H100 data sheet, SXM5; half its figures with sparsity (1,979 for bf16)",
            fp32=67, tf32=494.7, fp16=989.4, bf16=989.4, fp8=1978.9, int8=1978.9),
    _device("H100-PCIe", 80, 2000, "NVIDIA H100 data sheet, PCIe; half its figures with sparsity (1,513 for bf16)",
            fp32=51, tf32=378, fp16=756, bf16=756, fp8=1513, int8=1513),
    _device("H200", 141, 4800, "NVIDIA H200 data sheet, SXM; the H100's chip", fp32=67, tf32=494.7, fp16=989.4, bf16=989.4, fp8=1978.9, int8=1978.9),
    _device("B200", 180, 8000, "NVIDIA DGX B200 data sheet (8 of them: 1,440 GB, 64 TB/s) and Blackwell brief; half the figures with sparsity",
            tf32=1125, fp16=2250, bf16=2250, fp8=4500),
    _device("RTX3090", 24, 936, "NVIDIA GA102 white paper; tensor cores with float32 sums", fp32=35.6, tf32=35.6, fp16=71, bf16=71, int8=284),
    _device("RTX4090", 24, 1008, "NVIDIA Ada white paper; tensor cores with float32 sums",
            fp32=82.6, tf32=82.6, fp16=165.2, bf16=165.2, fp8=330.3, int8=660.6),
    _device("RTX5090", 32, 1792, "NVIDIA RTX Blackwell white paper; tensor cores with float32 sums",
            fp32=104.8, tf32=104.8, fp16=209.5, bf16=209.5, fp8=419),
    _device("MI250X", 128, 3277, "AMD Instinct MI250X data sheet; both dies", fp32=95.7, fp16=383, bf16=383, int8=383),
    _device("MI300X", 192, 5300, "AMD Instinct MI300X data sheet", fp32=163.4, tf32=653.7, fp16=1307.4, bf16=1307.4, fp8=2614.9, int8=2614.9),
    _device("TPUv4", 32, 1200, "Jouppi et al. 2023 and Google Cloud's pages, per chip", bf16=275),
    _device("TPUv5e", 16, 819, "Google Cloud's pages, per chip", bf16=197, int8=393),
    _device("TPUv5p", 95, 2765, "Google Cloud's pages, per chip", bf16=459, int8=918),
    _device("TPUv6e", 32, 1640, "Google Cloud's pages, per chip", bf16=918, int8=1836),
]
DEVICES = {device.name: device for device in TABLE}
OTHER_CHIPS = {"d", "laptop", "max", "mobile", "nvl", "pcie", "q", "super", "ti"}     # words that make a name mean a slower or faster chip
DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8")


def named(name: str, peak: float | None = None, memory: float | None = None, dtype: str = "bf16") -> Device:
    """The device of that name. `peak` (FLOP/s, for `dtype`) and `memory` (bytes) replace the table's; with a peak, any name will do."""
    for what, value in (("peak", peak), ("memory", memory)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"The device's {what} must be a positive number, not {value:g}.")
    found = next((device for device in TABLE if _plain(device.name) == _plain(name)), None)
    if found is None:
        if peak is None:
            raise ValueError(f"There is no device {name!r} in the table.{nearest(name)} It has {', '.join(DEVICES)}; for any other give its "
                             "peak (dense, in FLOP/s) with --peak and its memory with --device-memory.")
        return Device(name, {dtype: peak}, memory, None, "as given")
    if peak is not None:
        found = replace(found, peak=found.peak | {dtype: peak}, source=f"{found.source}; peak as given")
    return found if memory is None else replace(found, memory=memory, source=f"{found.source}; memory as given")


def nearest(name: str) -> str:
    """' Did you mean H100 or A100?', or nothing."""
    plain = {_plain(device): device for device in DEVICES}
    close = [plain[each] for each in difflib.get_close_matches(_plain(name), plain, n=3, cutoff=0.5)]
    return f" Did you mean {' or '.join(close)}?" if close else ""


def reported(name: str) -> Device | None:
    """The device behind a driver's words, such as "NVIDIA H100 80GB HBM3"; None unless its peak is certain. How much memory it has,
    the driver knows better."""
    words = set(re.findall(r"[a-z0-9]+", name.lower().replace("rtx ", "rtx")))
    for device in sorted(TABLE, key=lambda device: -len(device.name)):       # H100-PCIe before H100
        model, *variant = device.name.lower().split("-")
        if model in words and words.issuperset(variant) and not words & OTHER_CHIPS - {*variant}:
            return replace(device, memory=None)
    return None


def data_sheet_peak(device: str, dtype: str) -> float | None:
    """FLOP/s that the data sheet promises for this machine's "cuda" device in a NumPy dtype; None for what the table doesn't know, and for
    "cpu": a processor's rate depends on clocks and instructions that its name doesn't tell."""
    if device != "cuda":
        return None
    import cupy
    found = reported(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode())
    return None if found is None else found.peak.get({"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(dtype, dtype))


def mfu(flops_per_second: float, device: Device | None, devices: int = 1, dtype: str = "bf16") -> float | None:
    """The share of the peak; None where the peak isn't known."""
    if device is None or dtype not in device.peak:
        return None
    return flops_per_second / (devices * device.peak[dtype])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
