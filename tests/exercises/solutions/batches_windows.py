import numpy as np


def num_starts(n, t):
    if n <= t:
        return 0
    return n - t


def batch(tokens, starts, t):
    rows = np.lib.stride_tricks.sliding_window_view(tokens, t + 1)[starts].astype(np.int32)
    return rows[:, :-1], rows[:, 1:]


def epoch(tokens, t, ignore=-100):
    missing = -(len(tokens) - 1) % t
    x = np.pad(tokens[:-1].astype(np.int64), (0, missing))
    y = np.pad(tokens[1:].astype(np.int64), (0, missing), constant_values=ignore)
    return x.reshape(-1, t), y.reshape(-1, t)
