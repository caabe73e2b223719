"""The operations and updates as CUDA C: for a GPU through CuPy, and for a CPU through the emulator.

    CUDA         on CuPy's arrays
    EMULATED     the same kernels on NumPy's arrays: to learn, and to test without a GPU

Both are tables of operations like ops.REFERENCE, and have the updates of updates.py as well: EMULATED.adamw(…). The kernels are in cuda/,
readable CUDA C that opens with what it computes; beside it is one Python file for each, which launches it. What the kernels can't do
(float64, an odd head size) the reference does, on the same device, after one warning.
"""

from typing import Any

from .. import updates as reference_updates
from ..ops import REFERENCE, Ops
from .launcher import EMULATOR, GPU, Backend, Launcher
from .norms import AddLayerNorm, AddRMSNorm, LayerNorm, RMSNorm

UPDATES = ("sgd", "adam", "adamw", "square_norm", "clip", "average", "cast")


def table(backend: Backend) -> Ops:
    """The table for one kind of arrays. The updates are attributes of its class and not fields: what goes over all fields of a table
    (a counter, a guard) finds operations there, with forward and backward."""
    launch = Launcher(backend)
    operations = {name: kind(launch, getattr(REFERENCE, name)) for name, kind in OPERATIONS.items()}
    updates = {name: getattr(reference_updates, name) for name in UPDATES}
    kind = type("Kernels", (Ops,), {name: staticmethod(update) for name, update in updates.items()} | {"__doc__": table.__doc__, "launch": launch})
    return kind(**{name: getattr(REFERENCE, name) for name in Ops.names()} | operations)


OPERATIONS: dict[str, Any] = {
    "rmsnorm": RMSNorm, "layernorm": LayerNorm, "add_rmsnorm": AddRMSNorm, "add_layernorm": AddLayerNorm,
}

EMULATED = table(EMULATOR)
CUDA = table(GPU)
