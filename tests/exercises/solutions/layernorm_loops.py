"""Row by row, with np.var and np.mean, and a cache of rows."""
import numpy as np


def forward(x, w, b=None, eps=1e-5):
    rows, normed = x.reshape(-1, x.shape[-1]), []
    for row in rows:
        normed.append((row - np.mean(row)) / np.sqrt(np.var(row) + eps))
    y = np.array([each * w + (0 if b is None else b) for each in normed]).reshape(x.shape)
    return y, (rows, normed, w, b, eps, x.shape)


def backward(dy, cache):
    rows, normed, w, b, eps, shape = cache
    d = shape[-1]
    dw, db, dx = np.zeros(d), np.zeros(d), []
    for row, n, up in zip(rows, normed, dy.reshape(-1, d)):
        dw += up * n
        db += up
        jacobian = (np.eye(d) - 1 / d - np.outer(n, n) / d) / np.sqrt(np.var(row) + eps)
        dx.append(jacobian @ (up * w))
    return np.array(dx).reshape(shape), dw, None if b is None else db
