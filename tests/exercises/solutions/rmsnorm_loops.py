"""Plain Python numbers, and the forward pass done again in backward."""
import math
import numpy as np


def forward(x, w, eps=1e-5):
    y = np.zeros(x.shape, x.dtype)
    for place in np.ndindex(x.shape[:-1]):
        root = math.sqrt(sum(float(number) ** 2 for number in x[place]) / x.shape[-1] + eps)
        y[place] = [float(number) / root * float(scale) for number, scale in zip(x[place], w)]
    return y, [x, w, eps]


def backward(dy, cache):
    x, w, eps = cache
    d = x.shape[-1]
    dx, dw = np.zeros(x.shape), np.zeros(d)
    for place in np.ndindex(x.shape[:-1]):
        row, up = x[place], dy[place]
        root = math.sqrt((row @ row) / d + eps)
        total = sum(up[j] * w[j] * row[j] for j in range(d))
        for i in range(d):
            dw[i] += up[i] * row[i] / root
            dx[place][i] = up[i] * w[i] / root - row[i] * total / (d * root**3)
    return dx, dw
