"""Wrong cross-entropies, as students write them."""

WRONG = [
    dict(name="summed", fails="forward", diagnosis="sum for mean", of="loops", edits=[("(total / n if n else 0.0)", "total")]),
    dict(name="without the minus", fails="forward", diagnosis="sign",
         of="take", edits=[("return -np.sum(picked * mask)", "return np.sum(picked * mask)")]),
    dict(name="mean of the batch, ignored or not", fails="ignored", diagnosis="mean over all rows",
         of="take", edits=[("return -np.sum(picked * mask) / count, [", "return -np.mean(picked * mask), [")]),
    dict(name="-100 as an index", fails="ignored", diagnosis=None, source='''
import numpy as np

def forward(logits, targets, ignore=-100):
    v = logits.shape[-1]
    x, t = logits.reshape(-1, v), targets.reshape(-1)
    z = x - x.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -np.mean(logp[np.arange(len(t)), t]), (logits, logp, t)

def backward(dloss, cache):
    logits, logp, t = cache
    d = np.exp(logp)
    d[np.arange(len(t)), t] -= 1
    return ((d * dloss / len(t)).reshape(logits.shape),)
'''),
    dict(name="the default written into the code", fails="ignored", diagnosis="a fixed −100",
         of="loops", edits=[("if targets[index] == ignore:", "if targets[index] == -100:")]),
    dict(name="n may be 0", fails="ignored", diagnosis="no rows: zero by zero", of="take", edits=[("max(1.0, mask.sum())", "mask.sum()")]),
    dict(name="softmax, then log", fails="rare", diagnosis="log of a rounded probability", of="take",
         edits=[("logp = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))",
             "p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)\n    logp = np.log(p)")]),
    dict(name="log(p + 1e-9)", fails="rare", diagnosis="log of a rounded probability, mended with a small number", of="take",
         edits=[("logp = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))",
             "p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)\n    logp = np.log(p + 1e-9)")]),
    dict(name="log of the sum of exp, as it stands", fails="large", diagnosis="overflow in exp", of="loops",
         edits=[("top = float(max(row))", "top = 0.0"),
         ("math.log(sum(math.exp(float(value) - top) for value in row))", "float(np.log(np.exp(row).sum()))")]),
    dict(name="largest logit of all", fails="rare", diagnosis="one maximum for all rows",
         of="take", edits=[("np.max(logits, axis=-1, keepdims=True)", "np.max(logits)")]),
    dict(name="base 2", fails="forward", diagnosis="a constant factor",
         of="take", edits=[("return -np.sum(picked * mask)", "return -np.sum(picked * mask) / np.log(2)")]),
    dict(name="gradient of the sum", fails="backward", diagnosis="backward without the mean",
         of="select", edits=[("g * (dloss / len(t))", "g * dloss")]),
    dict(name="divides by every row", fails="backward_ignored", diagnosis="backward divides by all rows",
         of="select", edits=[("g * (dloss / len(t))", "g * (dloss / len(keep))")]),
    dict(name="dloss taken for 1", fails="backward", diagnosis="backward without dloss",
         of="take", edits=[("weight[..., None] * dloss", "weight[..., None]")]),
    dict(name="the probabilities alone", fails="backward", diagnosis="one-hot forgotten",
         of="select", edits=[("g = p - np.eye(p.shape[1])[t]", "g = p")]),
    dict(name="y - p", fails="backward", diagnosis="one-hot minus p",
         of="select", edits=[("g = p - np.eye(p.shape[1])[t]", "g = np.eye(p.shape[1])[t] - p")]),
    dict(name="ignored rows learn token 0", fails="backward_ignored", diagnosis="ignored rows get a gradient",
         of="take", edits=[("safe, mask / count]", "safe, np.ones(mask.shape) / count]")]),
    dict(name="the cache is changed in backward", fails="reuse", diagnosis="the cache spoiled by backward", of="select",
         edits=[("    g = p - np.eye(p.shape[1])[t]\n", "    p[np.arange(len(t)), t] -= 1\n    g = p\n")]),
    dict(name="targets are overwritten", fails="ignored", diagnosis="an input changed in place",
         of="take", edits=[("    safe = np.where(targets == ignore, 0, targets)\n", "    targets[targets == ignore] = 0\n    safe = targets\n")]),
]
