"""Computes in float32 and answers in the dtype that was handed in; D = Σ dy ∘ y in place of Σ dp ∘ p."""
import numpy as np


def forward(q, k, v, causal=True):
    q32, k32, v32 = (np.asarray(x, np.float32) for x in (q, k, v))
    scale = np.float32(1 / np.sqrt(q.shape[1]))
    scores = (q32 * scale) @ k32.T
    if causal:
        scores[np.triu_indices(len(scores), 1)] = -np.inf
    scores -= scores.max(1, keepdims=True)
    p = np.exp(scores, out=scores)
    p /= p.sum(1, keepdims=True)
    y = p @ v32
    return y.astype(q.dtype), (q32, k32, v32, p, y, scale, q.dtype)


def backward(dy, cache):
    q, k, v, p, y, scale, dtype = cache
    dy = dy.astype(np.float32)
    ds = p * (dy @ v.T - (dy * y).sum(1, keepdims=True)) * scale
    return tuple(g.astype(dtype) for g in (ds @ k, ds.T @ q, p.T @ dy))
