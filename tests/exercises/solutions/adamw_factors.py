import math

import numpy as np


def adamw(p, g, m, v, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    # one factor for the step, one for the root, and the decay first
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    size = np.sqrt(v) / math.sqrt(1 - beta2**step) + eps
    p = p * (1 - lr * weight_decay) - (lr / (1 - beta1**step)) * m / size
    return p, m, v
