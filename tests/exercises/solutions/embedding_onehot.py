import numpy as np


def forward(ids, w):
    onehot = (ids[..., None] == np.arange(len(w))).astype(w.dtype)
    return onehot @ w, onehot


def backward(dy, cache):
    v = cache.shape[-1]
    return (cache.reshape(-1, v).T @ dy.reshape(-1, dy.shape[-1]),)
