"""einsum, and a cache of the normed numbers in place of x."""
import numpy as np


def forward(x, w, eps=1e-5):
    root = np.sqrt(np.einsum("...d,...d->...", x, x) / x.shape[-1] + eps)
    n = np.einsum("...d,...->...d", x, 1 / root)
    return np.einsum("...d,d->...d", n, w), (n, root, w)


def backward(dy, cache):
    n, root, w = cache
    g = np.einsum("...d,d->...d", dy, w)
    along = np.einsum("...d,...d->...", g, n) / n.shape[-1]
    dx = (g - n * along[..., None]) / root[..., None]
    return dx, np.einsum("nd,nd->d", dy.reshape(-1, w.size), n.reshape(-1, w.size))
