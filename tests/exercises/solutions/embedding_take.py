import numpy as np


def forward(ids, w):
    return np.take(w, ids, axis=0), (np.array(ids), w)


def backward(dy, cache):
    ids, w = cache
    flat, d = ids.ravel(), w.shape[1]
    columns = [np.bincount(flat, weights=dy.reshape(-1, d)[:, j], minlength=len(w)) for j in range(d)]
    return (np.stack(columns, axis=1),)
