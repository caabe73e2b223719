"""Model FLOPs utilisation: which share of what a machine could multiply does training really use?

    MFU = FLOPs that a step needs / (seconds of the step · peak in FLOP/s)

FLOPs are those of the matrix products that the mathematics needs (flops.py, "exact"): what is computed twice to save memory, or in whole
blocks to save time, earns nothing. There are two peaks, and a reading is named after its own. The measured one is the best rate of
large matrix products on this machine, in the model's precision, on all threads: what the matrix library reaches here and now. The data
sheet's counts units that no program keeps busy all at once; it is given only where the device is known.

>>> from minillm import Config
>>> config = Config(vocab_size=1024, d_model=192, num_layers=4, num_heads=6, num_kv_heads=2, d_ff=512, max_seq_len=256, tied=True)
>>> meter = Meter(config, measured=100e9)
>>> reading = meter.read(b=8, t=256, seconds=1.0)
>>> reading["flops"], round(reading["mfu_measured"], 3)
(24168628224, 0.242)
"""

import functools
import time
from collections.abc import Callable

import numpy as np

from ..arrays import blas_threads, in_threads, num_threads
from ..model.config import Config
from .flops import of_model

NUMPYS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}       # what NumPy calls them
SIZE = {"cpu": 1024, "cuda": 8192}               # of the square matrices: large enough for the full rate, small enough for a moment


class Meter:
    """Reads a training step's speed. Made once; a reading costs a look into a table and a division, less than a microsecond.

    config               of a Transformer; None for a model without one (the bigram), which multiplies no matrices: its readings are empty
    measured, data_sheet  peaks in FLOP/s, where they are known
    """

    def __init__(self, config: Config | None, measured: float | None = None, data_sheet: float | None = None):
        self.config = config
        self.peaks = {f"mfu_{name}": peak for name, peak in (("measured", measured), ("data_sheet", data_sheet)) if peak is not None}
        self.flops = functools.cache(self._flops)

    def _flops(self, b: int, t: int) -> int:
        """Of one step on b texts of t tokens, as one whole number, however the batch is cut into slices."""
        return of_model(self.config, b, t).total

    def read(self, b: int, t: int, seconds: float) -> dict[str, float]:
        """{flops, flops_per_second, mfu_measured, mfu_data_sheet}; an mfu without its peak is left out: unknown, and never guessed."""
        if self.config is None:
            return {}
        rate = self.flops(b, t) / seconds
        return {"flops": self.flops(b, t), "flops_per_second": rate, **{name: rate / peak for name, peak in self.peaks.items()}}


@functools.cache
def measured_peak(dtype: str = "float32", device: str = "cpu", seconds: float = 0.5) -> float:
    """product_rate, measured once a process."""
    return product_rate(dtype, device, seconds)


def product_rate(dtype: str = "float32", device: str = "cpu", seconds: float = 0.5) -> float:
    """FLOP/s of large matrix products: the best of those that fit into `seconds`, after one to warm up. On the CPU each thread makes one of
    its own at the same time, as in a training step: where other programs run too, threads that share one wait for the slowest; and 16-bit
    numbers are multiplied as float32, as the operations do. On a GPU they are the kernels' own products; dtype may be "tf32" there."""
    n, count = SIZE[device], num_threads() if device == "cpu" else 1
    ones, multiply, wait = _on_cpu(dtype) if device == "cpu" else _on_gpu(dtype)
    matrices = [[ones((n, n)) for _ in range(3)] for _ in range(count)]

    def products() -> float:
        began = time.perf_counter()
        in_threads(lambda abc: multiply(*abc), matrices)
        wait()
        return time.perf_counter() - began

    with blas_threads(1 if count > 1 else num_threads()):
        products()
        end, best = time.perf_counter() + seconds, products()
        while time.perf_counter() < end:
            best = min(best, products())
    return count * 2 * n**3 / best


def _on_cpu(dtype: str) -> tuple[Callable, Callable, Callable]:
    """What makes matrices, what multiplies them, and what waits until that is done."""
    kind = np.dtype(NUMPYS.get(dtype, dtype))
    kind = np.dtype("float32") if kind.itemsize == 2 else kind
    return lambda shape: np.ones(shape, kind), lambda a, b, out: np.matmul(a, b, out=out), lambda: None


def _on_gpu(dtype: str) -> tuple[Callable, Callable, Callable]:
    from ..kernels import CUDA, CUDA_TF32
    from ..model.transformer import array_module
    cupy, table = array_module("cuda"), CUDA_TF32 if dtype == "tf32" else CUDA
    kind = "float32" if dtype == "tf32" else NUMPYS.get(dtype, dtype)
    return lambda shape: cupy.ones(shape, kind), lambda a, b, _: table.launch.multiply(a, b), lambda: cupy.cuda.get_current_stream().synchronize()
