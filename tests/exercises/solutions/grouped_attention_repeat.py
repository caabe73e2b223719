"""np.repeat forward, np.add.reduceat backward, and the forward pass done again in backward."""
import numpy as np


def probabilities(q, k):
    s = np.einsum("bthe,bshe->bhts", q, k) / np.sqrt(q.shape[-1])
    s = np.where(np.tri(q.shape[1]) > 0, s, -1e38)
    s = np.exp(s - s.max(-1, keepdims=True))
    return s / s.sum(-1, keepdims=True)


def forward(q, k, v):
    g = q.shape[2] // k.shape[2]
    p = probabilities(q, np.repeat(k, g, axis=2))
    return np.einsum("bhts,bshe->bthe", p, np.repeat(v, g, axis=2)), (q, k, v)


def backward(dy, cache):
    q, k, v = cache
    h, g = q.shape[2], q.shape[2] // k.shape[2]
    K, V = np.repeat(k, g, axis=2), np.repeat(v, g, axis=2)
    p = probabilities(q, K)
    dp = np.einsum("bthe,bshe->bhts", dy, V)
    ds = p * (dp - np.einsum("bhts,bhts->bht", dp, p)[..., None]) / np.sqrt(q.shape[-1])
    dq = np.einsum("bhts,bshe->bthe", ds, K)
    dk = np.add.reduceat(np.einsum("bhts,bthe->bshe", ds, q), range(0, h, g), axis=2)
    dv = np.add.reduceat(np.einsum("bhts,bthe->bshe", p, dy), range(0, h, g), axis=2)
    return dq, dk, dv
