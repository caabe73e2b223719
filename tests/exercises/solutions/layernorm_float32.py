"""Computes in float32 whatever comes."""
import numpy as np


def forward(x, w, b=None, eps=1e-5):
    x32, w32 = x.astype("f4"), w.astype("f4")
    x32 = x32 - x32.mean(-1, keepdims=True)
    r = 1 / np.sqrt(np.einsum("...d,...d->...", x32, x32)[..., None] / np.float32(x.shape[-1]) + np.float32(eps))
    n = x32 * r
    return n * w32 + (np.float32(0) if b is None else b.astype("f4")), (n, r, w32, b is None)


def backward(dy, cache):
    n, r, w, unshifted = cache
    dy = dy.astype("f4")
    g = dy * w
    flat = dy.reshape(-1, dy.shape[-1])
    dx = r * (g - g.mean(-1, keepdims=True) - n * np.einsum("...d,...d->...", g, n)[..., None] / np.float32(dy.shape[-1]))
    return dx, np.einsum("nd,nd->d", flat, n.reshape(flat.shape)), None if unshifted else np.ones(len(flat), "f4") @ flat
