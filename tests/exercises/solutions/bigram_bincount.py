import numpy as np


def counts(tokens, v):
    pairs = tokens[:-1] * v + tokens[1:]
    return np.bincount(pairs, minlength=v * v).reshape(v, v)


def probabilities(counts, alpha=0.0):
    table = counts.astype(np.float32) + np.float32(alpha)
    empty = table.sum(-1) == 0
    table[empty] = 1
    return table / table.sum(-1)[:, None]


def perplexity(probabilities, tokens):
    p = probabilities[tokens[:-1], tokens[1:]].astype(np.float32)
    with np.errstate(divide="ignore"):
        return 2 ** np.mean(-np.log2(p))
