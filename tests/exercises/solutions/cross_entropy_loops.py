import math

import numpy as np


def forward(logits, targets, ignore=-100):
    total, n = 0.0, 0
    for index in np.ndindex(*targets.shape):
        if targets[index] == ignore:
            continue
        row = logits[index]
        top = float(max(row))
        total += top + math.log(sum(math.exp(float(value) - top) for value in row)) - float(row[targets[index]])
        n += 1
    return (total / n if n else 0.0), (logits, targets, ignore, n)


def backward(dloss, cache):
    logits, targets, ignore, n = cache
    dx = np.zeros(logits.shape)
    for index in np.ndindex(*targets.shape):
        if targets[index] != ignore:
            row = logits[index] - max(logits[index])
            e = np.exp(row)
            dx[index] = e / e.sum()
            dx[index][targets[index]] -= 1.0
            dx[index] *= dloss / n
    return (dx,)
