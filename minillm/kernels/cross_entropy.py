"""Softmax cross-entropy on cuda/cross_entropy.cu, alone and behind the output layer."""

from math import gcd
from numbers import Real
from typing import Any, NamedTuple

from ..arrays import added, rows_of, xp
from ..ops import LinearCrossEntropy as Composed
from ..ops.cross_entropy import IGNORE
from .linear import Linear
from .operation import KernelOperation, blocks_for, by_value_or_at, contiguous

THREADS = 256            # of a row
THREADS_OF_MEAN = 1024
LOGITS_AT_ONCE = 2**29   # bytes: few enough to fit beside a model, many enough that dw is read and written a few times only


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
        x, (targets, n, options) = in_rows(logits), given(targets, ignore, label_smoothing, z_loss, denominator)
        lse, losses, nlls = (self.launch.empty(x, targets.shape, "float32") for _ in range(3))
        self.run("cross_entropy_forward", x, targets, options, lse=lse, losses=losses, nlls=nlls)
        return self.means(losses, nlls, n), Kept(x.reshape(logits.shape), targets, lse, n, options)

    def backward(self, dloss: Any, cache: Any) -> tuple:
        if not isinstance(cache, Kept):
            return self.reference.backward(dloss, cache)
        logits, targets, lse, n, options = cache
        dx = self.launch.empty(logits, logits.shape)
        self.run("cross_entropy_backward", in_rows(logits), targets, options, lse=lse, dx=rows_of(dx),
                 **by_value_or_at("dloss", dloss, "float32"), **by_value_or_at("n", n, "float32"))
        return (dx,)

    def run(self, kernel: str, logits: Any, targets: Any, options: dict, **more: Any) -> None:
        both = [x for x in (logits, more.get("dx")) if x is not None]
        pack = self.launch.pack(logits.dtype, gcd(*(x.strides[0] // x.itemsize for x in both)), *both)
        self.launch("cross_entropy.cu", kernel, logits.dtype, grid=len(logits), block=THREADS, pack=pack, logits=logits, targets=targets,
                    **options, **more)

    def means(self, losses: Any, nlls: Any, n: Any) -> tuple:
        """(loss, nll) of all rows."""
        means = self.launch.empty(losses, (2,))
        self.launch("cross_entropy.cu", "mean_losses", "float32", grid=2, block=THREADS_OF_MEAN, losses=losses, nlls=nlls, means=means,
                    **by_value_or_at("n", n, "float32"))
        return means[0], means[1]


class LinearCrossEntropy(Composed):
    """As the reference's, but that loss and gradient are made in one go, which leaves the gradient where the logits were, and that the means
    are taken at the end. backward has nothing to multiply where the loss itself is asked for: its upstream gradient is 1.

    A vocabulary may have any size: GPT-2's is 50,257. Rows of so many logits one behind the other would begin anywhere, and whatever touches
    them, products and kernels, would read number by number. So they lie a little apart (`aligned`)."""

    def __init__(self, launch: Any, reference: Any):
        super().__init__(Linear(launch, reference.linear), CrossEntropy(launch, reference.cross_entropy))
        self.launch = launch

    def forward(self, x: Any, w: Any, targets: Any, ignore: int = IGNORE, label_smoothing: float = 0.0, z_loss: float = 0.0, denominator: Any = None,
                gradients: bool = True, chunk: int | None = None) -> tuple:
        if not self.cross_entropy.can(x, w):
            return super().forward(x, w, targets, ignore, label_smoothing, z_loss, denominator, gradients, chunk)
        rows, w, empty, product = rows_of(contiguous(x)), contiguous(w), self.launch.empty, self.launch.product
        targets, n, options = given(targets, ignore, label_smoothing, z_loss, denominator)
        losses, nlls = (empty(x, targets.shape, "float32") for _ in range(2))
        dx, dw = (empty(x, rows.shape), empty(x, w.shape, "float32")) if gradients else (None, None)
        chunk = chunk or rows_at_once(len(rows), w.shape[0], w.itemsize)
        for first in range(0, len(rows), chunk):
            part = slice(first, first + chunk)
            logits = self.launch.multiply(rows[part], w.T, aligned=True)
            self.losses(logits, targets[part], options, losses[part], nlls[part], n, gradients)
            if gradients:                        # the logits are dlogits now
                product(logits, w, dx[part], False)
                product(logits.T, rows[part], dw, first > 0)
            del logits                           # before the next chunk's are there
        return self.cross_entropy.means(losses, nlls, n), (dx.reshape(x.shape) if gradients else None, dw)

    def losses(self, logits: Any, targets: Any, options: dict, losses: Any, nlls: Any, n: Any, gradients: bool) -> None:
        if gradients:
            more, kernel = by_value_or_at("n", n, "float32"), "cross_entropy_together"
        else:
            more, kernel = {"lse": self.launch.empty(losses, losses.shape)}, "cross_entropy_forward"
        self.cross_entropy.run(kernel, logits, targets, options, losses=losses, nlls=nlls, **more)

    def backward(self, dloss: Any, cache: tuple, into: Any = None) -> tuple:
        dx, dw = cache
        if dx is None or into is None or not (isinstance(dloss, Real) and dloss == 1):
            return super().backward(dloss, cache, into)
        return dx, added(dw, into)


def in_rows(logits: Any) -> Any:
    """As a matrix. Its rows may lie apart, but each is in one piece."""
    x = rows_of(logits)
    return x if x.strides[-1] == x.itemsize else contiguous(x)


def given(targets: Any, ignore: int, label_smoothing: float, z_loss: float, denominator: Any) -> tuple:
    """What the kernels take: targets in int64, the number n that the sums are divided by, and their numbers."""
    targets = contiguous(targets.reshape(-1), "int64")
    n = xp(targets).maximum((targets != ignore).sum(), 1) if denominator is None else denominator
    return targets, n, dict(ignore=ignore, smoothing=label_smoothing, z_loss=z_loss)


def rows_at_once(rows: int, v: int, itemsize: int) -> int:
    """How many rows the output layer takes at a time: its logits are at most LOGITS_AT_ONCE bytes, and the chunks of one size."""
    return blocks_for(rows, blocks_for(rows * v * itemsize, LOGITS_AT_ONCE))
