"""A loop over rows of the batch and over heads, each of which is attention for one head."""
import numpy as np


def forward(q, k, v):
    b, t, h, e = q.shape
    g = h // k.shape[2]
    mask = np.triu(np.ones((t, t), bool), 1)
    y, probabilities = np.empty_like(q), {}
    for row in range(b):
        for head in range(h):
            scores = q[row, :, head] @ k[row, :, head // g].T / np.sqrt(e)
            scores[mask] = -np.inf
            p = np.exp(scores - scores.max(1)[:, None])
            p = p / p.sum(1)[:, None]
            probabilities[row, head] = p
            y[row, :, head] = p @ v[row, :, head // g]
    return y, (q, k, v, probabilities)


def backward(dy, cache):
    q, k, v, probabilities = cache
    g, e = q.shape[2] // k.shape[2], q.shape[3]
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for (row, head), p in probabilities.items():
        up = dy[row, :, head]
        dp = up @ v[row, :, head // g].T
        ds = p * (dp - np.sum(dp * p, 1)[:, None]) / np.sqrt(e)
        dq[row, :, head] = ds @ k[row, :, head // g]
        dk[row, :, head // g] += ds.T @ q[row, :, head]
        dv[row, :, head // g] += p.T @ up
    return dq, dk, dv
