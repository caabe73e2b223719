import numpy as np


def forward(logits, targets, ignore=-100):
    mask = (targets != ignore).astype(float)
    safe = np.where(targets == ignore, 0, targets)
    z = logits - np.max(logits, axis=-1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
    picked = np.take_along_axis(logp, safe[..., None], axis=-1)[..., 0]
    count = max(1.0, mask.sum())
    return -np.sum(picked * mask) / count, [logp, safe, mask / count]


def backward(dloss, cache):
    logp, safe, weight = cache
    d = np.exp(logp)
    picked = np.take_along_axis(d, safe[..., None], axis=-1)
    np.put_along_axis(d, safe[..., None], picked - 1, axis=-1)
    return (d * weight[..., None] * dloss,)
