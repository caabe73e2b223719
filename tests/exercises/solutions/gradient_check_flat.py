import numpy as np


def slopes(op, x, dy, step=1e-5):
    # one flat copy; a fresh array for every question
    flat = np.array(x, dtype=float).ravel()
    out = []
    for i in range(flat.size):
        moved = flat.copy()
        moved[i] += step
        plus = float(np.sum(dy * op.forward(moved.reshape(x.shape))[0]))
        moved = flat.copy()
        moved[i] -= step
        minus = float(np.sum(dy * op.forward(moved.reshape(x.shape))[0]))
        out.append((plus - minus) / step / 2)
    return np.array(out).reshape(x.shape)


def relative_error(claimed, measured):
    a = np.linalg.norm(np.ravel(claimed))
    b = np.linalg.norm(np.ravel(measured))
    if a == 0 and b == 0:
        return 0.0
    return np.linalg.norm(np.ravel(claimed - measured)) / max(a, b)
