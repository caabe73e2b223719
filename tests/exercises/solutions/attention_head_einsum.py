"""einsum all over; −1e30 where others take −∞; the softmax's Jacobian written out."""
import numpy as np


def forward(q, k, v, causal=True):
    t, e = q.shape
    s = np.einsum("ic,jc->ij", q, k) * e**-0.5
    if causal:
        s = s + np.triu(np.full((t, t), -1e30), 1)
    s = np.exp(s - np.amax(s, axis=1)[:, None])
    p = s / np.sum(s, axis=1)[:, None]
    return np.einsum("ij,jc->ic", p, v), [p, q, k, v]


def backward(dy, cache):
    p, q, k, v = cache
    jacobian = np.einsum("ij,jl->ijl", p, np.eye(len(p))) - np.einsum("ij,il->ijl", p, p)
    ds = np.einsum("ic,jc,ijl->il", dy, v, jacobian) * q.shape[1] ** -0.5
    return np.einsum("ij,jc->ic", ds, k), np.einsum("ij,ic->jc", ds, q), np.einsum("ij,ic->jc", p, dy)
