import numpy as np


def forward(x, w, b=None):
    d, f = w.shape
    rows = x.reshape(-1, d)
    y = np.zeros((len(rows), f))
    for r in range(len(rows)):
        for j in range(f):
            s = 0.0
            for i in range(d):
                s += rows[r, i] * w[i, j]
            y[r, j] = s if b is None else s + b[j]
    return y.reshape(x.shape[:-1] + (f,)), (x, w, b)


def backward(dy, cache):
    x, w, b = cache
    d, f = w.shape
    rows, drows = x.reshape(-1, d), dy.reshape(-1, f)
    dx, dw, db = np.zeros(rows.shape), np.zeros(w.shape), np.zeros(f)
    for r in range(len(rows)):
        for j in range(f):
            db[j] += drows[r, j]
            for i in range(d):
                dx[r, i] += drows[r, j] * w[i, j]
                dw[i, j] += rows[r, i] * drows[r, j]
    if b is None:
        return dx.reshape(x.shape), dw, None
    return dx.reshape(x.shape), dw, db
