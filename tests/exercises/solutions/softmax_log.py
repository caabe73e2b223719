import numpy as np


def forward(x):
    # by the logarithm: log y = x - logsumexp(x)
    logy = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
    return np.exp(logy), logy


def backward(dy, cache):
    y = np.exp(cache)
    inner = np.sum(y * dy, axis=-1)
    return (y * dy - y * inner[..., None],)
