"""One form of the sigmoid where x is negative, another where it isn't; all done again in backward."""
import numpy as np


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def forward(gate, up):
    return np.multiply(sigmoid(gate), np.multiply(gate, up)), [gate, up]


def backward(dy, cache):
    gate, up = cache
    s, rest = sigmoid(gate), sigmoid(-gate)
    return dy * up * (s + gate * s * rest), dy * gate * s
