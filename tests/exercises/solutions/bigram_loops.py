import math

import numpy as np


def counts(tokens, v):
    table = np.zeros((v, v), dtype=int)
    for a, b in zip(tokens, tokens[1:]):
        table[a, b] += 1
    return table


def probabilities(counts, alpha=0.0):
    v = len(counts)
    p = np.empty((v, v))
    for a in range(v):
        total = sum(counts[a]) + alpha * v
        for b in range(v):
            p[a, b] = (counts[a, b] + alpha) / total if total > 0 else 1 / v
    return p


def perplexity(probabilities, tokens):
    total = 0.0
    for a, b in zip(tokens[:-1], tokens[1:]):
        if probabilities[a, b] == 0:
            return math.inf
        total += math.log(probabilities[a, b])
    return math.exp(-total / (len(tokens) - 1))
