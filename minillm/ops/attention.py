"""Attention: every query looks at the keys it may see, and takes the average of their values, weighted by likeness.

For one head, with t queries, s keys and e channels (Q: t × e; K, V: s × e; S, P: t × s):

    S  = scale · Q Kᵀ                        scores: one row a query, one column a key;  scale = 1/√e unless given
    P  = softmax of each row of S            over the keys that the query may see; the others have score −∞
    Y  = P V
    L  = log Σ exp S, row by row             saved, so that backward can make P again without a softmax: P = exp(S − L)

    dV = Pᵀ dY
    dP = dY Vᵀ
    dS = P ∘ (dP − D)                        D = Σ dP ∘ P, row by row, which is also Σ dY ∘ Y: e terms a row instead of s
    dQ = scale · dS K
    dK = scale · dSᵀ Q

Why dS: within a row ∂P_j/∂S_i = P_j (1[i = j] − P_i), so dS_i = Σ_j dP_j ∂P_j/∂S_i = P_i (dP_i − Σ_j dP_j P_j):
the sum is D.
Why D = Σ dY ∘ Y: a row of dP ∘ P sums to Σ_s (Σ_c dY_c V_sc) P_s = Σ_c dY_c (Σ_s P_s V_sc) = Σ_c dY_c Y_c.

Many heads: the above happens for each head apart, h query heads and k key heads, of which there may be fewer (k = h: multi-head,
k = 1: multi-query, else grouped-query attention): query head i reads key head ⌊i · k / h⌋. The g = h/k query heads of a group
share one matrix of keys, so their queries are simply stacked as further rows of one Q, and no key is ever copied. A key's
gradient then sums over its group by itself, inside the product dSᵀ Q.

The queries are taken in blocks of rows. A block needs only the columns that the causal rule and the window leave to some row of it.
What lies outside costs nothing: of causal attention the share ½ + block/2t is left, of a window less. And memory grows with t, not
with t². Backward walks through the same blocks and makes P anew in each.

A query that may see nothing (it happens with windows and masks) gets Y = 0 and no gradients: its L is set to +∞, so P = 0.
"""

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from ..arrays import Any, Bool, Float, Flops, Int, Work, wide, xp


class Rules(NamedTuple):
    """Which keys a query may see. With t queries and s keys, query i stands at the position of key i + s − t (bottom-right
    alignment): the newest query sits at the newest key, as a cache of earlier keys needs."""

    causal: bool = True                          # none after itself
    window: int | None = None                    # only those fewer than `window` positions away; 1: only itself
    documents: Any = None                        # (b s) ints: only keys with the query's own document number
    mask: Any = None                             # (b|1 h|1 t s) bools: only where True

    def columns(self, rows: slice, t: int, s: int) -> slice:
        """The keys that some row of `rows` could see by `causal` and `window` alone; the others are never looked at. What `documents`
        and `mask` forbid is hidden later, and costs as much as what is seen: so the cost depends on shapes, never on contents."""
        first, last = rows.start + s - t, rows.stop - 1 + s - t              # positions of the first and the last query
        start = 0 if self.window is None else first - self.window + 1
        stop = last + 1 if self.causal else s if self.window is None else last + self.window
        start, stop = max(start, 0), min(stop, s)
        return slice(start, max(start, stop))

    def blocks(self, t: int, s: int, size: int) -> Iterator[tuple[slice, slice]]:
        """The queries in blocks of rows, each with its columns; blocks that see nothing are left out."""
        for first in range(0, t, size):
            rows = slice(first, min(first + size, t))
            columns = self.columns(rows, t, s)
            if columns.start < columns.stop:
                yield rows, columns

    def hide(self, scores: Float[Any, "b k g rows columns"], rows: slice, columns: slice, t: int, s: int
             ) -> Float[Any, "b k g rows columns"]:
        """The scores, with −∞ where a row may not see a column."""
        np, (k, g) = xp(scores), scores.shape[1:3]
        position = np.arange(rows.start + s - t, rows.stop + s - t)[:, None]
        distance = position - np.arange(columns.start, columns.stop)         # how far back the key lies
        visible = distance >= 0 if self.causal else np.ones(distance.shape, dtype=bool)
        if self.window is not None:
            visible = visible & (distance < self.window) & (distance > -self.window)
        if self.documents is not None:
            queries, keys = self.documents[:, rows.start + s - t:rows.stop + s - t], self.documents[:, columns]
            visible = visible & (queries[:, :, None] == keys[:, None, :])[:, None, None]
        if self.mask is not None:
            mask_b, mask_h, _, _ = self.mask.shape                           # 1 where it is the same for all
            by_head = (k, g) if mask_h > 1 else (1, 1)
            visible = visible & self.mask[:, :, rows, columns].reshape(mask_b, *by_head, *visible.shape[-2:])
        return np.where(visible, scores, -np.inf)


class Cache(NamedTuple):
    q: Any
    k: Any
    v: Any
    y: Any
    lse: Any                                     # the L above, (b k g t)
    rules: Rules
    scale: float
    block: int
    probabilities: Any                           # P, (b h t s), if it was to be kept, else None


def by_group(x: Float[Any, "b t h n"], k: int) -> Float[Any, "b k g t n"]:
    """The h heads as k groups of g = h/k, and heads before positions. A view: writing to it writes to x."""
    b, t, h, n = x.shape
    return x.reshape(b, t, k, h // k, n).transpose(0, 2, 3, 1, 4)


def stacked(x: Float[Any, "b k g t n"]) -> Float[Any, "b k g*t n"]:
    """The rows of a group's heads under one another: one matrix for the one key head that they all read."""
    b, k, g, t, n = x.shape
    return x.reshape(b, k, g * t, n)


def forward(q: Float[Any, "b t h e"], k: Float[Any, "b s k e"], v: Float[Any, "b s k e"], causal: bool = True,
            window: int | None = None, documents: Int[Any, "b s"] | None = None, mask: Bool[Any, "#b #h t s"] | None = None,
            scale: float | None = None, block: int = 128, keep_probabilities: bool = False
            ) -> tuple[Float[Any, "b t h e"], Cache]:
    """`keep_probabilities`: leave P in cache.probabilities for looking at; backward then uses it."""
    refuse(q.shape, k.shape, window, documents)
    (_, t, h, e), (_, s, heads, _), np = q.shape, k.shape, xp(q)
    rules, scale = Rules(causal, window, documents, mask), 1 / sqrt(e) if scale is None else scale
    queries, keys, values = by_group(wide(q), heads), wide(k).transpose(0, 2, 1, 3), wide(v).transpose(0, 2, 1, 3)
    y = np.zeros(q.shape, queries.dtype)
    lse = np.full(queries.shape[:4], np.inf, dtype=queries.dtype)
    kept = np.zeros((*lse.shape, s), queries.dtype) if keep_probabilities else None

    for rows, columns in rules.blocks(t, s, block):
        q_, k_, v_ = queries[..., rows, :], keys[..., columns, :], values[..., columns, :]
        scores = (stacked(q_ * scale) @ k_.swapaxes(-1, -2)).reshape(*q_.shape[:4], -1)
        scores = rules.hide(scores, rows, columns, t, s)
        top = scores.max(-1, keepdims=True)              # −∞ in a row that sees nothing: there, the wheres keep NaN out
        p = np.exp(scores - np.where(top > -np.inf, top, 0))
        total = p.sum(-1, keepdims=True)
        sees_any = total > 0
        p /= np.where(sees_any, total, 1)
        lse[..., rows] = np.where(sees_any, top + np.log(np.where(sees_any, total, 1)), np.inf)[..., 0]
        by_group(y, heads)[..., rows, :] = (stacked(p) @ v_).reshape(q_.shape)
        if kept is not None:
            kept[..., rows, columns] = p

    y = y.astype(q.dtype, copy=False)
    return y, Cache(q, k, v, y, lse, rules, scale, block, None if kept is None else kept.reshape(-1, h, t, s))


def backward(dy: Float[Any, "b t h e"], cache: Cache) -> tuple:
    q, k, v, y, lse, rules, scale, block, kept = cache
    (_, t, _, e), (_, s, heads, _), np = q.shape, k.shape, xp(dy)
    dy_wide = wide(dy)
    d = by_group((dy_wide * wide(y)).sum(-1, keepdims=True), heads)
    queries, dys = by_group(wide(q), heads), by_group(dy_wide, heads)
    keys, values = wide(k).transpose(0, 2, 1, 3), wide(v).transpose(0, 2, 1, 3)
    dq, dk, dv = (np.zeros(x.shape, dy_wide.dtype) for x in (q, k, v))
    dqueries, dkeys, dvalues = by_group(dq, heads), dk.transpose(0, 2, 1, 3), dv.transpose(0, 2, 1, 3)

    for rows, columns in rules.blocks(t, s, block):
        scaled_q, k_, v_ = stacked(queries[..., rows, :] * scale), keys[..., columns, :], values[..., columns, :]
        dy_ = stacked(dys[..., rows, :])
        if kept is None:
            scores = (scaled_q @ k_.swapaxes(-1, -2)).reshape(*lse[..., rows].shape, -1)
            p = np.exp(rules.hide(scores, rows, columns, t, s) - lse[..., rows, None])
        else:
            p = kept.reshape(*lse.shape, s)[..., rows, columns]
        dp = (dy_ @ v_.swapaxes(-1, -2)).reshape(p.shape)
        ds = stacked(p * (dp - d[..., rows, :]))
        dqueries[..., rows, :] = (ds @ k_ * scale).reshape(*p.shape[:4], e)
        dkeys[..., columns, :] += ds.swapaxes(-1, -2) @ scaled_q
        dvalues[..., columns, :] += stacked(p).swapaxes(-1, -2) @ dy_

    return tuple(x.astype(dy.dtype, copy=False) for x in (dq, dk, dv))


def refuse(q: tuple, k: tuple, window: int | None, documents: Any) -> None:
    """Raises a sentence if these shapes (of q and k) and options can't be computed."""
    (_, t, h, _), (_, s, heads, _) = q, k
    if h % heads:
        raise ValueError(f"{h} query heads can't share {heads} key heads evenly: the first number must be a multiple of the second.")
    if window is not None and window < 0:
        raise ValueError(f"The attention window is a distance in positions, so 0 or more, not {window}.")
    if documents is not None and t > s:
        raise ValueError(f"`documents` numbers the keys, and {t} queries have only {s} keys to stand at.")


def flops(q: tuple, k: tuple, v: tuple, causal: bool = True, window: int | None = None, documents: tuple | None = None,
          mask: tuple | None = None, scale: float | None = None, block: int = 128, keep_probabilities: bool = False) -> Flops:
    """Matrix products are executed for the blocks' whole columns; needed for the pairs of query and key that
    `causal` and `window` leave. Elementwise, a score costs 6 operations forward (hide, top, − top, exp, sum, divide), 5 backward."""
    (b, t, h, e), (_, s, heads, _) = q, k
    rules = Rules(causal, window)
    blocks = [(r.stop - r.start, c.stop - c.start) for r, c in rules.blocks(t, s, block)]
    executed = b * h * sum(rows * columns for rows, columns in blocks)
    rows, columns = (sum(sizes) for sizes in zip(*blocks, strict=True)) if blocks else (0, 0)
    visible = b * h * sum(c.stop - c.start for _, c in rules.blocks(t, s, 1))

    def products(n: int, needed: int, elementwise: int = 0) -> Work:
        return Work(2 * e * executed * n, elementwise, 2 * e * visible * needed)

    queries, keys, y = b * h * rows, b * heads * columns * e, b * t * h * e
    shared = 2 * y + queries * e + (2 if keep_probabilities else 5) * executed
    return Flops(products(2, 2, 6 * executed + queries * (e + 8)),
                 {"shared": products(1 if keep_probabilities else 2, 1, shared),
                  "dq": products(1, 1, queries * e), "dk": products(1, 1, keys), "dv": products(1, 1, keys)})
