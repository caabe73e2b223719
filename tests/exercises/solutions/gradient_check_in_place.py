import numpy as np


def slopes(op, x, dy, step=1e-5):
    # moves x itself and puts the very same number back
    g = np.zeros(x.shape)

    def f():
        y, cache = op.forward(x)
        return (y * dy).sum()

    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + step
        a = f()
        x[i] = old - step
        b = f()
        x[i] = old
        g[i] = (a - b) / (2 * step)
    return g


def relative_error(claimed, measured):
    norms = [np.sqrt(np.sum(np.square(a))) for a in (claimed, measured)]
    return np.float64(0) if max(norms) == 0 else np.sqrt(np.sum((measured - claimed) ** 2)) / max(norms)
