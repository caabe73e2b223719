"""Number by number."""
import math
import numpy as np


def sigma(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def forward(gate, up):
    y = [g * sigma(g) * u for g, u in zip(gate.ravel().tolist(), up.ravel().tolist())]
    return np.array(y).reshape(gate.shape), (gate.copy(), up.copy())


def backward(dy, cache):
    gate, up = cache
    dgate, dup = np.empty(dy.shape), np.empty(dy.shape)
    for place in np.ndindex(dy.shape):
        g, s = float(gate[place]), sigma(float(gate[place]))
        dgate[place] = dy[place] * up[place] * (s + g * s * (1 - s))
        dup[place] = dy[place] * g * s
    return dgate, dup
