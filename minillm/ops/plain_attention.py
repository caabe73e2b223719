"""Attention in three steps, with the whole (t × s) matrix of probabilities at once: what attention.py does, before it was
taken apart to save memory. Composed from the table's softmax, so that replacing softmax reaches every model.

    1   S = scale · Q Kᵀ, and −∞ where a query may not see a key        scale = 1/√e unless given
    2   P = softmax(S)
    3   Y = P V

    dV = Pᵀ dY
    dP = dY Vᵀ
    dS = softmax's backward of dP
    dQ = scale · dS K        dK = scale · dSᵀ Q

Query head i reads key head ⌊i · k / h⌋: the h/k heads of a group are stacked as further rows of one Q.
"""

from math import prod, sqrt

from ..arrays import Any, Bool, Float, Flops, Int, Work, wide, xp
from .attention import refuse


def visible(np: Any, t: int, s: int, causal: bool, window: int | None, documents: Any, mask: Any) -> Bool[Any, "#b #h t s"]:
    """Query i stands at the position of key i + s − t."""
    distance = np.arange(s - t, s)[:, None] - np.arange(s)
    seen = (distance == distance)[None, None]
    if causal:
        seen = seen & (distance >= 0)
    if window is not None:
        seen = seen & (abs(distance) < window)
    if documents is not None:
        seen = seen & (documents[:, None, s - t:, None] == documents[:, None, None, :])
    return seen if mask is None else seen & mask


class PlainAttention:
    def __init__(self, softmax: Any):
        self.softmax = softmax

    def forward(self, q: Float[Any, "b t h e"], k: Float[Any, "b s k e"], v: Float[Any, "b s k e"], causal: bool = True,
                window: int | None = None, documents: Int[Any, "b s"] | None = None,
                mask: Bool[Any, "#b #h t s"] | None = None, scale: float | None = None, block: int = 0,
                keep_probabilities: bool = True) -> tuple[Float[Any, "b t h e"], tuple]:
        """Takes what attention.py takes; `block` and `keep_probabilities` change nothing: all is one block, and it is kept."""
        refuse(q.shape, k.shape, window, documents)
        (b, t, h, e), (_, s, heads, _), np = q.shape, k.shape, xp(q)
        scale = 1 / sqrt(e) if scale is None else scale
        rows = (b, heads, h // heads * t)                                    # a group's heads, under one another
        queries = wide(q).transpose(0, 2, 1, 3).reshape(*rows, e)
        keys, values = wide(k).transpose(0, 2, 1, 3), wide(v).transpose(0, 2, 1, 3)
        scores = (queries * scale @ keys.swapaxes(-1, -2)).reshape(b, h, t, s)
        p, softmax_cache = self.softmax.forward(np.where(visible(np, t, s, causal, window, documents, mask), scores, -np.inf))
        y = (p.reshape(*rows, s) @ values).reshape(b, h, t, e).transpose(0, 2, 1, 3)
        return y.astype(q.dtype, copy=False), (queries, keys, values, p, softmax_cache, scale)

    def backward(self, dy: Float[Any, "b t h e"], cache: tuple) -> tuple:
        queries, keys, values, p, softmax_cache, scale = cache
        (b, h, t, s), e = p.shape, queries.shape[-1]
        dy_ = wide(dy).transpose(0, 2, 1, 3).reshape(queries.shape)
        dv = p.reshape(*queries.shape[:3], s).swapaxes(-1, -2) @ dy_
        dp = (dy_ @ values.swapaxes(-1, -2)).reshape(p.shape)
        (ds,) = self.softmax.backward(dp, softmax_cache)
        ds = ds.reshape(*queries.shape[:3], s) * scale
        dq = (ds @ keys).reshape(b, h, t, e)
        dk = ds.swapaxes(-1, -2) @ queries
        return tuple(x.transpose(0, 2, 1, 3).astype(dy.dtype, copy=False) for x in (dq, dk, dv))

    def flops(self, q: tuple, k: tuple, v: tuple, causal: bool = True, window: int | None = None, documents: tuple | None = None,
              mask: tuple | None = None, scale: float | None = None, block: int = 0, keep_probabilities: bool = True) -> Flops:
        (b, t, h, e), s = q, k[1]
        at = range(s - t, s)                                                 # the queries' positions
        first = [0 if window is None else max(0, i - window + 1) for i in at]
        last = [min(s, i + 1 if causal else s if window is None else i + window) for i in at]
        seen = b * h * sum(max(0, stop - start) for start, stop in zip(first, last, strict=True))
        product, softmax = Work(2 * e * b * h * t * s, 0, 2 * e * seen), self.softmax.flops((b, h, t, s))
        return Flops(product * 2 + softmax.forward + Work(elementwise=prod(q) + b * h * t * s),
                     {"shared": product + softmax.backward["dx"] + Work(elementwise=b * h * t * s),
                      "dq": product, "dk": product, "dv": product})
