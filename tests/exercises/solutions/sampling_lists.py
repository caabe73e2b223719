import math

import numpy as np


def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    z = [float(x) for x in logits]
    v = len(z)
    if temperature == 0:
        best = z.index(max(z))
        return np.array([1.0 if i == best else 0.0 for i in range(v)])
    z = [x / temperature for x in z]
    keep = set(range(v))
    if top_k is not None:
        threshold = sorted(z, reverse=True)[min(top_k, v) - 1]
        keep = {i for i in keep if z[i] >= threshold}
    top = max(z)
    e = [math.exp(z[i] - top) if i in keep else 0.0 for i in range(v)]
    p = [x / sum(e) for x in e]
    if top_p is not None:
        total, kept = 0.0, []
        for i in sorted(keep, key=lambda i: (-p[i], i)):
            if total >= top_p:
                break
            kept.append(i)
            total += p[i]
        p = [p[i] / total if i in kept else 0.0 for i in range(v)]
    return np.array(p)


def draw(p, u):
    total = 0.0
    for i, share in enumerate(p):
        total += share
        if total > u:
            return i
    return max(i for i in range(len(p)) if p[i] > 0)
