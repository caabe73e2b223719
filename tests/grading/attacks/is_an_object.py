"""Object arrays, structured arrays, complex numbers, dates and texts."""
import numpy as np


def forward(x, w, eps=1e-5):
    kinds = [x.astype(object), x.astype(complex), x.astype("S8"), np.zeros(x.shape, "f8,f8"), np.zeros(x.shape, "M8[s]"), x.astype(str)]
    return kinds[x.size % 6], None
