"""Cross-entropy: how surprised the model is by the token that really came next, and its gradient.

    L      = log Σ_j e^(x_j)                       log-sum-exp of a row of logits
    nll    = L − x_target                          −log of the probability given to the target
    smooth = L − mean_j x_j                        the same, if the target were spread evenly over the vocabulary
    row    = (1 − s) · nll + s · smooth + z · L²   s: label smoothing; z: z-loss, which keeps L near 0
    loss   = Σ row / n                             over the rows whose target isn't ignored; n: how many those are, at least 1
    dx_j   = dloss/n · [ (1 + 2 z L) · p_j − (1 − s) · 1[j = target] − s/v ]        p = softmax(x) = e^(x − L); v: size of the vocabulary

Where dx comes from: ∂L/∂x_j = p_j, since e^(x_j) appears once in the sum. So a row's gradient is (1 − s)(p_j − 1[j = target])
+ s (p_j − 1/v) + 2 z L p_j, which collected is dx. Without extras it is p − onehot: what the model said minus what it should have said.

All in float32 or better; the largest logit is subtracted before exp, so logits of any size are safe.
"""

from math import prod

from ..arrays import Any, Float, Flops, Int, Work, rows_of, wide, xp

IGNORE = -100       # a target to leave out of the mean, as elsewhere in this field


def forward(logits: Float[Any, "*rows v"], targets: Int[Any, "*rows"], ignore: int = IGNORE, label_smoothing: float = 0.0,
            z_loss: float = 0.0, denominator: float | Float[Any, ""] | None = None
            ) -> tuple[tuple[Float[Any, ""], Float[Any, ""]], tuple]:
    """(loss, nll): what to minimise, and beside it the plain loss without smoothing and z-loss, which is what people compare.
    `denominator` replaces n, for slices of a batch that share the whole batch's count."""
    np, x, targets = xp(logits), rows_of(wide(logits)), targets.reshape(-1)
    counted = targets != ignore
    n = np.maximum(counted.sum(), 1).astype(x.dtype) if denominator is None else denominator
    top = x.max(-1)
    lse = top + np.log(np.exp(x - top[:, None]).sum(-1))
    # an ignored row reads column 0; the wheres below throw the result away
    nll = lse - np.take_along_axis(x, np.where(counted, targets, 0)[:, None], -1)[:, 0]
    row = nll
    if label_smoothing:
        row = (1 - label_smoothing) * nll + label_smoothing * (lse - x.mean(-1))
    if z_loss:
        row = row + z_loss * lse * lse
    loss, plain = (np.where(counted, each, 0).sum() / n for each in (row, nll))
    return (loss, plain), (logits, targets, counted, lse, n, label_smoothing, z_loss)


def backward(dloss: Float[Any, ""] | float, cache: tuple) -> tuple:
    """dloss: the gradient of the loss; no gradient flows through the plain loss, which is only a report."""
    logits, targets, counted, lse, n, label_smoothing, z_loss = cache
    np, x = xp(logits), rows_of(wide(logits))
    dx = np.exp(x - lse[:, None])
    if z_loss:
        dx *= (1 + 2 * z_loss * lse)[:, None]
    if label_smoothing:
        dx -= label_smoothing / x.shape[-1]
    dx[np.arange(len(dx)), np.where(counted, targets, 0)] -= 1 - label_smoothing
    # in ignored rows too, which the next line makes zero
    dx *= np.where(counted, dloss / n, 0).astype(dx.dtype)[:, None]
    return (dx.astype(logits.dtype, copy=False).reshape(logits.shape),)


def flops(logits: tuple, targets: tuple, ignore: int = IGNORE, label_smoothing: float = 0.0, z_loss: float = 0.0,
          denominator: float | Float[Any, ""] | None = None) -> Flops:
    n, rows = prod(logits), prod(logits[:-1])
    smooth, z = bool(label_smoothing), bool(z_loss)
    return Flops(Work(elementwise=(4 + smooth) * n + (7 + 5 * smooth + 3 * z) * rows),
                 {"dx": Work(elementwise=(3 + smooth + z) * n + (2 + 2 * z) * rows)})
