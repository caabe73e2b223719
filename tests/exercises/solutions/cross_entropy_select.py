import numpy as np


def forward(logits, targets, ignore=-100):
    # the counted rows alone
    v = logits.shape[-1]
    keep = targets.ravel() != ignore
    x = logits.reshape(-1, v)[keep]
    t = targets.ravel()[keep]
    if len(t) == 0:
        return 0.0, (np.zeros(logits.shape), None, None, None)
    lse = np.logaddexp.reduce(x, axis=1)
    loss = np.mean(lse - x[np.arange(len(t)), t])
    p = np.exp(x - lse[:, None])
    return loss, (np.zeros(logits.shape), keep, t, p)


def backward(dloss, cache):
    zeros, keep, t, p = cache
    if keep is None:
        return (zeros,)
    g = p - np.eye(p.shape[1])[t]
    out = np.zeros((len(keep), p.shape[1]))
    out[keep] = g * (dloss / len(t))
    return (out.reshape(zeros.shape),)
