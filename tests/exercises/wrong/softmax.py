"""Wrong softmaxes, as students write them."""

WRONG = [
    dict(name="axis=0", fails="forward", diagnosis="wrong axis", source='''
import numpy as np

def forward(x):
    e = np.exp(x - np.max(x, axis=0))
    y = e / np.sum(e, axis=0)
    return y, y

def backward(dy, cache):
    y = cache
    return (y * (dy - np.sum(dy * y, axis=-1, keepdims=True)),)
'''),
    dict(name="np.sum(e)", fails="forward", diagnosis="summed over everything", source='''
import numpy as np

def forward(x):
    e = np.exp(x)
    y = e / np.sum(e)
    return y, y

def backward(dy, cache):
    y = cache
    return (y * (dy - np.sum(dy * y, axis=-1, keepdims=True)),)
'''),
    dict(name="sum without keepdims", fails="forward", diagnosis="sums laid along the wrong axis",
         of="model", edits=[("e.sum(-1, keepdims=True)", "e.sum(-1)")]),
    dict(name="by the formula alone", fails="large", diagnosis="overflow in exp",
         of="jacobian", edits=[("np.exp(row - np.max(row))", "np.exp(row)")]),
    dict(name="np.max(x)", fails="different", diagnosis="one maximum for all rows",
         of="float32", edits=[("x.max(axis=-1, keepdims=True)", "x.max()")]),
    dict(name="clipped before exp", fails="large", diagnosis=None,
         of="model", edits=[("np.exp(x - x.max(-1, keepdims=True)) ", "np.exp(np.clip(x, -50, 50)) ")]),
    dict(name="log_softmax", fails="forward", diagnosis="logarithm of it", of="log", edits=[("return np.exp(logy), logy", "return logy, logy")]),
    dict(name="y (1 - y)", fails="backward", diagnosis="backward taken for diagonal",
         of="model", edits=[("dx = y * (dy - (dy * y).sum(-1, keepdims=True))", "dx = dy * y * (1 - y)")]),
    dict(name="only the direct way", fails="backward", diagnosis="the row's sum forgotten", of="log", edits=[(" - y * inner[..., None]", "")]),
    dict(name="the outer product added", fails="backward", diagnosis=None,
         of="jacobian", edits=[("np.diag(y[n]) - np.outer", "np.diag(y[n]) + np.outer")]),
    dict(name="sign", fails="backward", diagnosis="sign of backward",
         of="model", edits=[("dx = y * (dy - (dy * y).sum(-1, keepdims=True))", "dx = y * ((dy * y).sum(-1, keepdims=True) - dy)")]),
    dict(name="sum of dy alone", fails="backward", diagnosis="backward's sum without y", of="model", edits=[("(dy * y).sum(", "dy.sum(")]),
    dict(name="no tuple", fails="backward", diagnosis="not a tuple", of="model", edits=[("return (dx,)", "return dx")]),
    dict(name="zeros: what (1, …, 1) would pass", fails="backward", diagnosis="all zeros", of="model", edits=[("return (dx,)", "return (dx * 0,)")]),
    dict(name="subtracts the maximum in place", fails="forward", diagnosis="an input changed in place", of="model",
         edits=[("    e = np.exp(x - x.max(-1, keepdims=True)) ", "    x -= x.max(-1, keepdims=True)\n    e = np.exp(x) ")]),
    dict(name="backward writes into the cache", fails="reuse", diagnosis="the cache spoiled by backward", of="model",
         edits=[("    dx = y * (dy - (dy * y).sum(-1, keepdims=True))\n",
             "    s = (dy * y).sum(-1, keepdims=True)\n    y *= dy - s\n    dx = y.copy()\n")]),
]
