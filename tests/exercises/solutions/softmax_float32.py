import numpy as np


def forward(x):
    z = (x - x.max(axis=-1, keepdims=True)).astype("float32")
    e = np.exp(z)
    y = e / np.einsum("...i->...", e)[..., np.newaxis]
    return y, (x, y)


def backward(dy, cache):
    _, y = cache
    return (y * (dy.astype("float32") - np.einsum("...i,...i->...", y, dy.astype("float32"))[..., np.newaxis]),)
