import numpy as np


def forward(x, w, b=None):
    y = np.einsum("...i,ij->...j", x, w)
    if b is not None:
        y += b
    return y, {"x": x, "w": w, "b": b}


def backward(dy, cache):
    x, w, b = cache["x"], cache["w"], cache["b"]
    dx = np.einsum("...j,ij->...i", dy, w)
    dw = np.einsum("ni,nj->ij", x.reshape(-1, len(w)), dy.reshape(-1, dy.shape[-1]))
    db = None
    if b is not None:
        db = dy.sum(axis=tuple(range(dy.ndim - 1)))
    return dx, dw, db
