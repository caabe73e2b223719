import numpy as np


def adamw(p, g, m, v, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    p, m, v = p.copy(), m.copy(), v.copy()
    for i in np.ndindex(p.shape):
        m[i] = beta1 * m[i] + (1 - beta1) * g[i]
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
        mh = m[i] / (1 - beta1**step)
        vh = v[i] / (1 - beta2**step)
        p[i] -= lr * weight_decay * p[i]
        p[i] -= lr * mh / (vh**0.5 + eps)
    return p, m, v
