"""The output layer and its loss in one, chunk by chunk, so that the logits of the whole batch never exist at once.

    for each chunk of rows:   logits = x · wᵀ                   w is (v, d), like the embedding
                              loss  += cross_entropy(logits)
                              dlogits, then dx = dlogits · w and dw += dlogitsᵀ · x, at once

Logits are by far the widest arrays of a model: v numbers for every token, against d elsewhere. So each chunk is differentiated
while it is still there, for an upstream gradient of 1; backward only multiplies by the real one, since the loss is a single
number and everything is linear in it. That is why the work of backward is done in forward, if gradients are wanted.

Composed from the table's linear and cross_entropy: replacing either replaces it here too.
"""

from math import prod

from ..arrays import Any, Float, Flops, Int, Work, added, rows_of, wide, xp
from .cross_entropy import IGNORE

LOGITS_AT_ONCE = 2**21      # 8 MiB in float32: large enough for the matrix products to run at full speed


def rows_at_once(w: tuple) -> int:
    return max(64, LOGITS_AT_ONCE // w[0])


class LinearCrossEntropy:
    def __init__(self, linear: Any, cross_entropy: Any):
        self.linear, self.cross_entropy = linear, cross_entropy

    def forward(self, x: Float[Any, "*rows d"], w: Float[Any, "v d"], targets: Int[Any, "*rows"], ignore: int = IGNORE,
                label_smoothing: float = 0.0, z_loss: float = 0.0, denominator: float | Float[Any, ""] | None = None, gradients: bool = True,
                chunk: int | None = None) -> tuple[tuple[Float[Any, ""], Float[Any, ""]], tuple]:
        """(loss, nll), as cross_entropy gives them. `gradients`: False where no backward will follow. `chunk`: rows at once."""
        np, rows, targets = xp(x), rows_of(x), targets.reshape(-1)
        chunk = chunk or rows_at_once(w.shape)
        if denominator is None:
            denominator = np.maximum((targets != ignore).sum(), 1).astype(wide(x).dtype)
        total = plain = np.zeros((), wide(x).dtype)
        dx = np.empty(rows.shape, x.dtype) if gradients else None
        dw = np.zeros(w.shape, wide(w).dtype) if gradients else None
        for first in range(0, len(rows), chunk):
            part = slice(first, first + chunk)
            logits, linear_cache = self.linear.forward(rows[part], w.T)
            (loss, nll), loss_cache = self.cross_entropy.forward(logits, targets[part], ignore, label_smoothing, z_loss, denominator)
            total, plain = total + loss, plain + nll
            if gradients:
                (dlogits,) = self.cross_entropy.backward(1.0, loss_cache)
                dx[part] = self.linear.backward(dlogits, linear_cache, into=(dw.T, None))[0]
        return (total, plain), (dx.reshape(x.shape) if gradients else None, dw)

    def backward(self, dloss: Float[Any, ""] | float, cache: tuple, into: Float[Any, "v d"] | None = None) -> tuple:
        """`into`: the array that dw is added to, where the caller collects gradients."""
        dx, dw = cache
        if dx is None:
            raise ValueError("There are no gradients to hand back: this forward ran with gradients=False.")
        dx, dw = ((dloss * wide(d)).astype(d.dtype, copy=False) for d in (dx, dw))
        return dx, added(dw, into)

    def flops(self, x: tuple, w: tuple, targets: tuple, ignore: int = IGNORE, label_smoothing: float = 0.0, z_loss: float = 0.0,
              denominator: float | Float[Any, ""] | None = None, gradients: bool = True, chunk: int | None = None) -> Flops:
        """Booked as mathematics has it: what makes gradients counts as backward, though it runs in forward."""
        linear = self.linear.flops(x, w[::-1])
        loss = self.cross_entropy.flops((*x[:-1], w[0]), targets, ignore, label_smoothing, z_loss)
        if not gradients:
            return Flops(linear.forward + loss.forward, {})
        rows, weights = prod(x[:-1]), prod(w)
        chunks = -(-rows // (chunk or rows_at_once(w)))                      # each adds its part to dw
        return Flops(linear.forward + loss.forward,
                     {"shared": loss.backward["dx"], "dx": linear.backward["dx"] + Work(elementwise=prod(x)),
                      "dw": linear.backward["dw"] + Work(elementwise=(chunks + 1) * weights)})
