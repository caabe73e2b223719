"""Wrong batches, as students write them."""

WRONG = [
    dict(name="n - t + 1 windows", fails="num_starts", diagnosis="one start too many",
         of="windows", edits=[("return n - t\n", "return n - t + 1\n"), ("if n <= t:", "if n < t:")]),
    dict(name="n - t - 1 windows", fails="num_starts", diagnosis="one start too few",
         of="windows", edits=[("return n - t\n", "return max(0, n - t - 1)\n")]),
    dict(name="n // t", fails="num_starts", diagnosis=None, of="windows", edits=[("return n - t\n", "return n // t\n")]),
    dict(name="below zero", fails="short", diagnosis="a negative number of starts", of="windows", edits=[("    if n <= t:\n        return 0\n", "")]),
    dict(name="targets = inputs", fails="batch", diagnosis="targets not shifted",
         of="lists", edits=[("tokens[s + 1:s + 1 + t] for s", "tokens[s:s + t] for s")]),
    dict(name="targets = roll(inputs)", fails="batch", diagnosis="each row's target shifted in a circle", source='''
import numpy as np

def num_starts(n, t):
    return max(0, n - t)

def batch(tokens, starts, t):
    x = np.array([tokens[s:s + t] for s in starts])
    return x, np.roll(x, -1, axis=1)

def epoch(tokens, t, ignore=-100):
    n = len(tokens) - 1
    x = np.zeros((n + t - 1) // t * t, dtype=int)
    y = np.full(x.shape, ignore)
    x[:n], y[:n] = tokens[:-1], tokens[1:]
    return x.reshape(-1, t), y.reshape(-1, t)
'''),
    dict(name="the pair the other way round", fails="batch", diagnosis="targets before the inputs",
         of="windows", edits=[("return rows[:, :-1], rows[:, 1:]", "return rows[:, 1:], rows[:, :-1]")]),
    dict(name="t + 1 inputs", fails="batch", diagnosis=None, of="windows", edits=[("return rows[:, :-1], rows[:, 1:]", "return rows, rows[:, 1:]")]),
    dict(name="stacked as columns", fails="batch", diagnosis="rows and columns swapped", of="lists", edits=[("return x, y\n", "return x.T, y.T\n")]),
    dict(name="a list, not a pair of arrays", fails="batch", diagnosis=None, of="lists", edits=[("return x, y\n", "return [x, y]\n")]),
    dict(name="an epoch without its last row", fails="padded", diagnosis="last row left out", source='''
import numpy as np

def num_starts(n, t):
    return max(0, n - t)

def batch(tokens, starts, t):
    at = starts.reshape(-1, 1) + np.arange(t)
    return tokens[at], tokens[at + 1]

def epoch(tokens, t, ignore=-100):
    rows = (len(tokens) - 1) // t
    x, y = tokens[:rows * t], tokens[1:rows * t + 1]
    return x.reshape(rows, t), y.reshape(rows, t)
'''),
    dict(name="padded with 0 on both sides", fails="padded", diagnosis="padding is a target",
         of="windows", edits=[("constant_values=ignore", "constant_values=0")]),
    dict(name="padded with ignore on both sides", fails="padded", diagnosis="inputs padded with ignore",
         of="lists", edits=[("row_x + [0] *", "row_x + [ignore] *")]),
    dict(name="-100 by heart", fails="padded", diagnosis="a fixed −100", of="lists", edits=[("row_y + [ignore] *", "row_y + [-100] *")]),
    dict(name="always one more row", fails="epoch", diagnosis="one row too many",
         of="windows", edits=[("missing = -(len(tokens) - 1) % t", "missing = t - (len(tokens) - 1) % t")]),
    dict(name="the last token is an input without a target", fails="epoch", diagnosis=None,
         of="lists", edits=[("range(0, len(tokens) - 1, t)", "range(0, len(tokens), t)"), ("        row_x = row_x[:len(row_y)]\n", "")]),
    dict(name="the text's own dtype", fails="unsigned", diagnosis="−100 in numbers without a sign",
         of="windows", edits=[("np.pad(tokens[1:].astype(np.int64), ", "np.pad(tokens[1:], ")]),
    dict(name="the text's own dtype, full of ignore", fails="unsigned", diagnosis=None, source='''
import numpy as np

def num_starts(n, t):
    return max(0, n - t)

def batch(tokens, starts, t):
    at = starts.reshape(-1, 1) + np.arange(t)
    return tokens[at], tokens[at + 1]

def epoch(tokens, t, ignore=-100):
    n = len(tokens) - 1
    rows = (n + t - 1) // t
    x = np.zeros(rows * t, dtype=tokens.dtype)
    y = np.full(rows * t, ignore, dtype=tokens.dtype)
    x[:n], y[:n] = tokens[:-1], tokens[1:]
    return x.reshape(rows, t), y.reshape(rows, t)
'''),
]
