"""No key is copied: the queries of a group are an axis of their own, and broadcasting does the rest."""
import numpy as np


def split(x, k):
    b, t, h, e = x.shape
    return np.moveaxis(x.reshape(b, t, k, h // k, e), 1, 3)             # (b, k, g, t, e)


def join(x):
    b, k, g, t, e = x.shape
    return np.moveaxis(x, 3, 1).reshape(b, t, k * g, e)


def forward(q, k, v):
    t, heads = q.shape[1], k.shape[2]
    Q, K, V = split(q, heads), split(k, heads), split(v, heads)         # K, V: g = 1
    S = Q @ np.swapaxes(K, 3, 4) / q.shape[3] ** 0.5
    S = np.where(np.arange(t)[:, None] < np.arange(t)[None, :], -np.inf, S)
    P = np.exp(S - S.max(4, keepdims=True))
    P = P / P.sum(4, keepdims=True)
    return join(P @ V), (Q, K, V, P)


def backward(dy, cache):
    Q, K, V, P = cache
    dY = split(dy, K.shape[1])
    dP = dY @ np.swapaxes(V, 3, 4)
    dS = P * (dP - (P * dP).sum(4, keepdims=True)) / Q.shape[4] ** 0.5
    dQ = dS @ K
    dK = (np.swapaxes(dS, 3, 4) @ Q).sum(2, keepdims=True)
    dV = (np.swapaxes(P, 3, 4) @ dY).sum(2, keepdims=True)
    return join(dQ), join(dK), join(dV)
