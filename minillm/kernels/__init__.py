"""The operations and updates as CUDA C: for a GPU through CuPy, and for a CPU through the emulator.

    CUDA         on CuPy's arrays
    CUDA_TF32    the same, but the matrix products of float32 numbers use 10 bits of their fractions, and run several times faster
    EMULATED     the same kernels on NumPy's arrays: to learn, and to test without a GPU

All are tables of operations like ops.REFERENCE, and have the updates of updates.py as well: EMULATED.adamw(…). The kernels are in cuda/,
readable CUDA C that opens with what it computes; beside it is one Python file for each, which launches it. Matrix products are those of
NVIDIA's cuBLASLt (products/). What the kernels can't do (float64, an odd head size) the reference does, on the same device, after one warning.
"""

from typing import Any

from ..ops import REFERENCE, Ops
from .activations import GELU, ReLU, SiLU, SwiGLU
from .attention import Attention
from .cross_entropy import CrossEntropy, LinearCrossEntropy
from .dropout import Dropout
from .embedding import Embedding
from .launcher import EMULATOR, GPU, Backend, Launcher
from .linear import Linear
from .norms import AddLayerNorm, AddRMSNorm, LayerNorm, RMSNorm
from .positions import LearnedPositions, Sinusoidal
from .rope import RoPE
from .softmax import Softmax
from .sums import Sum
from .updates import Updates

UPDATES = ("sgd", "adam", "adamw", "square_norm", "clip", "average", "cast", "judge", "numbers_of_step", "adamw_judged", "average_judged")


# Every operation, on kernels. (Of a linear layer the products are the matrix library's: products/.)
OPERATIONS: dict[str, Any] = {
    "linear": Linear, "embedding": Embedding, "rmsnorm": RMSNorm, "layernorm": LayerNorm, "rope": RoPE, "sinusoidal": Sinusoidal,
    "learned_positions": LearnedPositions, "softmax": Softmax, "attention": Attention,
    "relu": ReLU, "gelu": GELU, "silu": SiLU, "swiglu": SwiGLU, "dropout": Dropout, "add_rmsnorm": AddRMSNorm, "add_layernorm": AddLayerNorm,
    "cross_entropy": CrossEntropy, "linear_cross_entropy": LinearCrossEntropy,
}


def table(backend: Backend, tf32: bool = False) -> Ops:
    """The table for one kind of arrays. The updates are attributes of its class, not fields: what goes over all fields of a table
    (a counter, a guard) meets operations there, with forward and backward. As `updates` a training loop finds them: updates.of(table). So are
    the sums that a model makes: ops.sum_of(table)."""
    launch = Launcher(backend, tf32)
    operations = {name: kind(launch, getattr(REFERENCE, name)) for name, kind in OPERATIONS.items()}
    updates = Updates(launch)
    more = {"updates": updates, "launch": launch, "add": staticmethod(Sum(launch))}
    kind = type("Kernels", (Ops,), {name: staticmethod(getattr(updates, name)) for name in UPDATES} | more)
    return kind(**operations)


EMULATED = table(EMULATOR)
CUDA, CUDA_TF32 = table(GPU), table(GPU, tf32=True)
