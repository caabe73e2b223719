"""One query at a time, over the keys that it sees and no others; backward likewise, with its weights made again."""
import math
import numpy as np


def weights(q, k, i, causal):
    last = i + 1 if causal else len(k)
    scores = [sum(float(a) * float(b) for a, b in zip(q[i], k[j])) / math.sqrt(len(q[i])) for j in range(last)]
    top = max(scores)
    e = [math.exp(score - top) for score in scores]
    return [each / sum(e) for each in e]


def forward(q, k, v, causal=True):
    y = np.zeros(q.shape)
    for i in range(len(q)):
        for j, p in enumerate(weights(q, k, i, causal)):
            y[i] += p * v[j]
    return y, {"q": q, "k": k, "v": v, "causal": causal}


def backward(dy, cache):
    q, k, v = cache["q"], cache["k"], cache["v"]
    scale = 1 / math.sqrt(q.shape[1])
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for i in range(len(q)):
        p = weights(q, k, i, cache["causal"])
        dp = [dy[i] @ v[j] for j in range(len(p))]
        mean = sum(a * b for a, b in zip(p, dp))
        for j in range(len(p)):
            ds = p[j] * (dp[j] - mean)
            dq[i] += ds * k[j] * scale
            dk[j] += ds * q[i] * scale
            dv[j] += p[j] * dy[i]
    return dq, dk, dv
