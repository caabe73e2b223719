from collections import Counter

import numpy as np


def counts(tokens, v):
    found = Counter(zip(tokens.tolist()[:-1], tokens.tolist()[1:]))
    return np.array([[found[a, b] for b in range(v)] for a in range(v)])


def probabilities(counts, alpha=0.0):
    out = np.full(counts.shape, 1.0 / counts.shape[1])
    total = counts.sum(axis=1) + alpha * counts.shape[1]
    np.divide(counts + alpha, total[:, None], out=out, where=total[:, None] > 0)
    return out


def perplexity(probabilities, tokens):
    eye = np.eye(len(probabilities))
    p = np.einsum("na,ab,nb->n", eye[tokens[:-1]], probabilities, eye[tokens[1:]])
    with np.errstate(divide="ignore"):
        return np.exp(np.log(p).sum() / -(len(tokens) - 1))
