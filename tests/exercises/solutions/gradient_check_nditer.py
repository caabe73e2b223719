import math

import numpy as np


def slopes(op, x, dy, step=1e-5):
    grad = np.empty_like(x)
    it = np.nditer(x, flags=["multi_index"])
    while not it.finished:
        i = it.multi_index
        e = np.zeros(x.shape)
        e[i] = step
        y1, _ = op.forward(x + e)
        y0, _ = op.forward(x - e)
        grad[i] = np.vdot(dy, y1 - y0) / (2 * step)
        it.iternext()
    return grad


def relative_error(claimed, measured):
    def norm(a):
        return math.sqrt(sum(float(v) ** 2 for v in a.flat))

    bottom = max(norm(claimed), norm(measured))
    if bottom == 0:
        return 0
    return norm(claimed - measured) / bottom
