import numpy as np


def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    out = np.zeros(len(logits))
    if temperature == 0:
        out[np.argmax(logits)] = 1
        return out
    z = logits.astype(np.float64) / temperature
    mask = np.ones(len(z), dtype=bool)
    if top_k is not None:
        mask = z >= np.partition(z, max(len(z) - top_k, 0))[max(len(z) - top_k, 0)]
    chosen = np.flatnonzero(mask)
    chosen = chosen[np.lexsort((chosen, -z[chosen]))]
    p = np.exp(z[chosen] - z[chosen[0]])
    p /= p.sum()
    if top_p is not None:
        n = 1 + int(np.sum(np.cumsum(p)[:-1] < top_p))
        chosen, p = chosen[:n], p[:n] / p[:n].sum()
    out[chosen] = p
    return out


def draw(p, u):
    return int((np.cumsum(p) <= u).sum())
