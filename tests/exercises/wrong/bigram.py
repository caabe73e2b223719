"""Wrong bigram models, as students write them."""

WRONG = [
    dict(name="table[a, b] += 1 with arrays", fails="repeated", diagnosis="repeated pairs counted once",
         of="model", edits=[("np.add.at(table, (tokens[:-1], tokens[1:]), 1)", "table[tokens[:-1], tokens[1:]] += 1")]),
    dict(name="counts[b, a]", fails="counts", diagnosis="counts transposed", of="loops", edits=[("table[a, b] += 1", "table[b, a] += 1")]),
    dict(name="for i in range(len(tokens) - 2)", fails="counts", diagnosis="last pair forgotten", source='''
import numpy as np

def counts(tokens, v):
    c = np.zeros((v, v), dtype=int)
    for i in range(len(tokens) - 2):
        c[tokens[i], tokens[i + 1]] += 1
    return c
'''),
    dict(name="tokens[i - 1] from i = 0", fails="counts", diagnosis="last token followed by the first", source='''
import numpy as np

def counts(tokens, v):
    c = np.zeros((v, v), dtype=int)
    for i in range(len(tokens)):
        c[tokens[i - 1], tokens[i]] += 1
    return c
'''),
    dict(name="a table of floats", fails="counts", diagnosis=None, of="loops", edits=[("np.zeros((v, v), dtype=int)", "np.zeros((v, v))")]),
    dict(name="the table as large as the largest token", fails="counts", diagnosis=None,
         of="loops", edits=[("    table = np.zeros((v, v), dtype=int)", "    v = max(tokens) + 1\n    table = np.zeros((v, v), dtype=int)")]),
    dict(name="sum(axis=0)", fails="probabilities", diagnosis="columns normalised, not rows", source='''
import numpy as np


def counts(tokens, v):
    c = np.zeros((v, v), dtype=int)
    for a, b in zip(tokens, tokens[1:]):
        c[a, b] += 1
    return c

def probabilities(counts, alpha=0.0):
    c = counts + alpha
    return c / c.sum(axis=0)
'''),
    dict(name="divided by a row without its axis", fails="probabilities", diagnosis="sums laid along the columns",
         of="bincount", edits=[("table.sum(-1)[:, None]", "table.sum(-1)")]),
    dict(name="joint probabilities", fails="probabilities", diagnosis="normalised over the whole table",
         of="bincount", edits=[("table / table.sum(-1)[:, None]", "table / table.sum()")]),
    dict(name="alpha above only", fails="smoothed", diagnosis="α missing below",
         of="loops", edits=[("sum(counts[a]) + alpha * v", "sum(counts[a])")]),
    dict(name="alpha once below", fails="smoothed", diagnosis="α added once below",
         of="loops", edits=[("sum(counts[a]) + alpha * v", "sum(counts[a]) + alpha")]),
    dict(name="smoothing as in the textbook, + 1", fails="smoothed", diagnosis="always α = 1",
         of="loops", edits=[("+ alpha * v", "+ (alpha > 0) * v"), ("counts[a, b] + alpha)", "counts[a, b] + (alpha > 0))")]),
    dict(name="nan where nothing was seen", fails="unseen", diagnosis="a row without counts: zero by zero",
         of="bincount", edits=[("    empty = table.sum(-1) == 0\n    table[empty] = 1\n", "")]),
    dict(name="zeros where nothing was seen", fails="unseen", diagnosis="a row without counts left zero",
         of="onehot", edits=[("np.full(counts.shape, 1.0 / counts.shape[1])", "np.zeros(counts.shape)")]),
    dict(name="counts is turned into probabilities in place", fails="probabilities", diagnosis="an input changed in place", source='''
import numpy as np

def counts(tokens, v):
    c = np.zeros((v, v), dtype=int)
    for a, b in zip(tokens, tokens[1:]):
        c[a, b] += 1
    return c

def probabilities(counts, alpha=0.0):
    counts[counts == 0] = alpha
    counts += 0
    total = counts.sum(1, keepdims=True)
    p = counts / total
    counts[:] = np.round(100 * p)
    return p
'''),
    dict(name="the loss instead", fails="perplexity", diagnosis="no exponential",
         of="loops", edits=[("math.exp(-total / (len(tokens) - 1))", "-total / (len(tokens) - 1)")]),
    dict(name="without the minus", fails="perplexity", diagnosis="sign", of="loops", edits=[("math.exp(-total /", "math.exp(total /")]),
    dict(name="len(tokens)", fails="perplexity", diagnosis="divided by the tokens, not the pairs",
         of="onehot", edits=[("-(len(tokens) - 1)", "-len(tokens)")]),
    dict(name="log2 and exp", fails="perplexity", diagnosis="base 2 and base e mixed",
         of="bincount", edits=[("2 ** np.mean(-np.log2(p))", "np.exp(np.mean(-np.log2(p)))")]),
    dict(name="log and 2 **", fails="perplexity", diagnosis="two logarithms mixed", of="bincount", edits=[("np.log2", "np.log")]),
    dict(name="averages the inverse", fails="perplexity", diagnosis="mean of 1/p",
         of="bincount", edits=[("2 ** np.mean(-np.log2(p))", "np.mean(1 / p)")]),
    dict(name="the product, then the root", fails="long", diagnosis="product underflows",
         of="bincount", edits=[("2 ** np.mean(-np.log2(p))", "np.prod(p) ** (-1 / len(p))")]),
    dict(name="+ 1e-10 for safety", fails="impossible", diagnosis=None, of="bincount", edits=[("-np.log2(p)", "-np.log2(p + np.float32(1e-10))")]),
    dict(name="skips what is impossible", fails="impossible", diagnosis="impossible pairs skipped",
         of="loops", edits=[("            return math.inf\n", "            continue\n")]),
]

# what is not in the shortened files above
REST = {"probabilities": """
def probabilities(counts, alpha=0.0):
    table = counts + alpha
    total = table.sum(1, keepdims=True)
    return np.where(total > 0, table / np.maximum(total, 1e-300), 1 / len(table))
""", "perplexity": """
def perplexity(probabilities, tokens):
    with np.errstate(divide="ignore"):
        return np.exp(-np.log(probabilities[tokens[:-1], tokens[1:]]).mean())
"""}
for entry in WRONG:
    if "source" in entry:
        entry["source"] += "".join(text for name, text in REST.items() if f"def {name}" not in entry["source"])
