import numpy as np


def num_starts(n, t):
    return len([s for s in range(n) if s + t + 1 <= n])


def batch(tokens, starts, t):
    x = np.stack([tokens[s:s + t] for s in starts])
    y = np.stack([tokens[s + 1:s + 1 + t] for s in starts])
    return x, y


def epoch(tokens, t, ignore=-100):
    x, y = [], []
    for s in range(0, len(tokens) - 1, t):
        row_x = [int(i) for i in tokens[s:s + t]]
        row_y = [int(i) for i in tokens[s + 1:s + 1 + t]]
        row_x = row_x[:len(row_y)]
        x.append(row_x + [0] * (t - len(row_x)))
        y.append(row_y + [ignore] * (t - len(row_y)))
    return np.array(x), np.array(y)
