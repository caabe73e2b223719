"""Where a part runs: on the card, with CuPy and PyTorch; or in a rehearsal on the stand-in for CuPy, with PyTorch on the CPU.

PyTorch may be missing: then its columns stay empty. Whatever is in a rehearsal smaller or simpler is decided by `place.size(real, small)`,
so that one program does both.
"""

import contextlib
import functools
import gc
import importlib
import operator
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


class Place:
    def __init__(self, out: Path, end: float, rehearsal: bool):
        self.out, self.end, self.rehearsal = out, end, rehearsal
        if rehearsal:
            rehearse()

    def left(self) -> float:
        """Seconds of this part's share."""
        return self.end - time.monotonic()

    def size(self, real: Any, small: Any) -> Any:
        return small if self.rehearsal else real

    @functools.cached_property
    def xp(self) -> Any:
        return importlib.import_module("cupy")

    @functools.cached_property
    def torch(self) -> Any:
        """None without PyTorch, or with one that can't use this card."""
        try:
            import torch
        except ImportError:
            return None
        return torch if self.rehearsal or torch.cuda.is_available() else None

    @property
    def torch_device(self) -> str:
        return "cpu" if self.rehearsal else "cuda"

    @functools.cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(0)

    # --- numbers, on the card ---

    def normal(self, *shape: int, dtype: str = "bfloat16", scale: float = 1.0) -> Any:
        """Standard normal numbers (of zeros, products are faster than of anything real). Large arrays repeat a million drawn ones."""
        size, drawn = int(np.prod(shape)), min(int(np.prod(shape)), 1_000_003)
        numbers = (self.rng.standard_normal(drawn, np.float32) * np.float32(scale)).astype(np_dtype(dtype))
        words = self.xp.asarray(numbers.view(f"int{8 * numbers.itemsize}"))
        if size > drawn:
            words = self.xp.tile(words, -(-size // drawn))[:size]
        return words.view(np_dtype(dtype)).reshape(shape)

    def ids(self, *shape: int, below: int) -> Any:
        return self.xp.asarray(self.rng.integers(0, below, shape))

    def to_torch(self, x: Any) -> Any:
        """The array as PyTorch's, in the same memory; in a rehearsal a copy."""
        torch = self.torch
        narrow, shape = x.dtype == np_dtype("bfloat16"), x.shape
        x = self.xp.ascontiguousarray(x)
        x = x.view("int16") if narrow else x         # whatever version of DLPack the two speak, they agree on integers
        tensor = torch.from_numpy(self.xp.asnumpy(x)) if self.rehearsal else torch.from_dlpack(x)
        return (tensor.view(torch.bfloat16) if narrow else tensor).reshape(shape)

    # --- the card itself ---

    def wait(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()

    def works(self) -> bool:
        """Whether the card still answers this process: after an illegal access it doesn't."""
        try:
            self.xp.cuda.runtime.deviceSynchronize()
        except Exception:
            return False
        return True

    def free(self) -> None:
        """Gives back the memory that nobody uses any more: CuPy and PyTorch share the card, and know nothing of each other."""
        gc.collect()                             # what hangs in cycles is garbage only now
        self.xp.get_default_memory_pool().free_all_blocks()
        if "torch" in sys.modules and not self.rehearsal:
            self.torch.cuda.empty_cache()


@functools.cache
def np_dtype(name: str) -> np.dtype:
    import ml_dtypes  # noqa: F401   after this, NumPy knows the name "bfloat16"
    return np.dtype(name)


def rehearse() -> None:
    """From now on `import cupy` is the stand-in of the tests, on which the host may wait."""
    sys.path.insert(0, str(ROOT / "tests"))
    import standin
    for_good.enter_context(standin.in_place_of_cupy(Patch))
    for_good.enter_context(standin.waiting())


for_good = contextlib.ExitStack()


class Patch:
    """As pytest's monkeypatch, for a process that never goes back."""

    setitem, setattr = staticmethod(operator.setitem), staticmethod(setattr)
