"""Softmax cross-entropy on cuda/cross_entropy.cu, alone and behind the output layer."""

from math import gcd
from typing import Any, NamedTuple

from ..arrays import rows_of, xp
from ..ops import LinearCrossEntropy as Composed
from ..ops.cross_entropy import IGNORE
from .linear import Linear
from .operation import KernelOperation, contiguous

THREADS = 256


class Kept(NamedTuple):
    logits: Any
    targets: Any
    lse: Any
    n: Any
    options: dict


class CrossEntropy(KernelOperation):
    def forward(self, logits: Any, targets: Any, ignore: int = IGNORE, label_smoothing: float = 0.0, z_loss: float = 0.0, denominator: Any = None
                ) -> tuple:
        if not self.can(logits):
            return self.reference.forward(logits, targets, ignore, label_smoothing, z_loss, denominator)
        x, targets, n, options = self.given(logits, targets, ignore, label_smoothing, z_loss, denominator)
        lse = self.launch.empty(x, targets.shape, "float32")
        losses = self.run("cross_entropy_forward", x, targets, options, losses=True, lse=lse)
        return means(losses, n), Kept(x.reshape(logits.shape), targets, lse, n, options)

    def backward(self, dloss: Any, cache: Any) -> tuple:
        if not isinstance(cache, Kept):
            return self.reference.backward(dloss, cache)
        logits, targets, lse, n, options = cache
        dx = self.launch.empty(logits, logits.shape)
        self.run("cross_entropy_backward", in_rows(logits), targets, options, lse=lse, factor=ratio(logits, dloss, n), dx=rows_of(dx))
        return (dx,)

    def given(self, logits: Any, targets: Any, ignore: int, label_smoothing: float, z_loss: float, denominator: Any) -> tuple:
        """What the kernels take: rows, int64, the number n that the sums are divided by, and their numbers."""
        np, targets = xp(logits), contiguous(targets.reshape(-1), "int64")
        n = np.maximum((targets != ignore).sum(), 1).astype("float32") if denominator is None else denominator
        return in_rows(logits), targets, n, dict(ignore=ignore, smoothing=label_smoothing, z_loss=z_loss)

    def run(self, kernel: str, logits: Any, targets: Any, options: dict, losses: bool = False, **arrays: Any) -> tuple:
        """(losses, nlls) of the rows, if the kernel makes them."""
        made = {name: self.launch.empty(logits, targets.shape, "float32") for name in ("losses", "nlls")} if losses else {}
        both = [x for x in (logits, arrays.get("dx")) if x is not None]
        pack = self.launch.pack(logits.dtype, gcd(*(x.strides[0] // x.itemsize for x in both)), *both)
        self.launch("cross_entropy.cu", kernel, logits.dtype, grid=len(logits), block=THREADS, pack=pack,
                    logits=logits, targets=targets, **arrays, **made, **options)
        return tuple(made.values())


class LossWithGradient(CrossEntropy):
    """For inside the output layer, which asks for the gradient at once, with an upstream gradient of 1, and needs its logits no more:
    forward makes both in one go, and leaves the gradient where the logits were."""

    def forward(self, logits: Any, targets: Any, ignore: int, label_smoothing: float, z_loss: float, denominator: Any) -> tuple:
        if not self.can(logits):
            return self.reference.forward(logits, targets, ignore, label_smoothing, z_loss, denominator)
        x, targets, n, options = self.given(logits, targets, ignore, label_smoothing, z_loss, denominator)
        losses = self.run("cross_entropy_together", x, targets, options, losses=True, factor=ratio(x, 1.0, n))
        return means(losses, n), Kept(x, None, None, n, options)

    def backward(self, dloss: float, cache: Any) -> tuple:
        return (cache.logits,) if isinstance(cache, Kept) else self.reference.backward(dloss, cache)


class Output(Linear):
    """A vocabulary may have any size: GPT-2's is 50,257. Rows of so many logits one behind the other would begin anywhere, and every kernel
    and product that touches them would read number by number. So they lie a little apart."""

    aligned = True


class LinearCrossEntropy(Composed):
    def __init__(self, launch: Any, reference: Any):
        linear = Output(launch, reference.linear)
        super().__init__(linear, CrossEntropy(launch, reference.cross_entropy))
        self.with_gradients = Composed(linear, LossWithGradient(launch, reference.cross_entropy))

    def forward(self, x: Any, w: Any, targets: Any, ignore: int = IGNORE, label_smoothing: float = 0.0, z_loss: float = 0.0, denominator: Any = None,
                gradients: bool = True, chunk: int | None = None) -> tuple:
        forward = self.with_gradients.forward if gradients else super().forward
        return forward(x, w, targets, ignore, label_smoothing, z_loss, denominator, gradients, chunk)


def in_rows(logits: Any) -> Any:
    """As a matrix. Its rows may lie apart, but each is in one piece."""
    x = rows_of(logits)
    return x if x.strides[-1] == x.itemsize else contiguous(x)


def means(losses: tuple, n: Any) -> tuple:
    return tuple(each.sum() / n for each in losses)


def ratio(like: Any, a: Any, b: Any) -> Any:
    """a / b as an array of one float32, beside `like`: both may be numbers on the GPU, which the host hasn't seen."""
    one = xp(like).ones(1, "float32")
    one *= a
    one /= b
    return one
