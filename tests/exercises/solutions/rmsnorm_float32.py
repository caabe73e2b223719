"""float32 inside, and a power in place of a root."""
import numpy as np


def forward(x, w, eps=1e-5):
    x32, w32 = np.float32(x), np.float32(w)
    r = np.power(np.mean(np.square(x32), axis=-1, keepdims=True) + np.float32(eps), np.float32(-0.5))
    return (x32 * r) * w32, {"n": x32 * r, "r": r, "w": w32}


def backward(dy, cache):
    n, g = cache["n"], np.float32(dy) * cache["w"]
    dx = cache["r"] * (g - n * np.mean(g * n, axis=-1, keepdims=True))
    return dx, np.sum(np.float32(dy) * n, axis=tuple(range(n.ndim - 1)))
