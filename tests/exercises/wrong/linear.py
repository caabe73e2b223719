"""Wrong linear layers, as students write them."""

WRONG = [
    dict(name="PyTorch's layout", fails="forward", diagnosis="w transposed in forward", of="model", edits=[("y = x @ w\n", "y = x @ w.T\n")]),
    dict(name="no bias", fails="bias", diagnosis="bias forgotten", of="loops", edits=[("s if b is None else s + b[j]", "s")]),
    dict(name="bias on the left out default", fails="forward", diagnosis=None,
         of="einsum", edits=[("    if b is not None:\n        y += b\n", "    y += b\n")]),
    dict(name="dx without the transpose", fails="backward", diagnosis="dx with w, not wᵀ", of="model", edits=[("dx = dy @ w.T", "dx = dy @ w")]),
    dict(name="dw the wrong way round", fails="backward", diagnosis="dw transposed", of="einsum", edits=[('"ni,nj->ij"', '"ni,nj->ji"')]),
    dict(name="dw by assignment in the loop", fails="backward", diagnosis="dw of one row only",
         of="loops", edits=[("dw[i, j] += rows[r, i] * drows[r, j]", "dw[i, j] = rows[r, i] * drows[r, j]")]),
    dict(name="dw averaged", fails="backward", diagnosis="mean for sum in dw",
         of="model", edits=[("rows.T @ drows ", "rows.T @ drows / len(rows) ")]),
    dict(name="db averaged", fails="backward_bias", diagnosis="mean for sum in db", of="model", edits=[("drows.sum(0)", "drows.mean(0)")]),
    dict(name="db is dy", fails="backward_bias", diagnosis="db not summed", of="model", edits=[("drows.sum(0) if", "dy if")]),
    dict(name="db summed over the batch alone", fails="backward_bias", diagnosis="db summed over one axis only",
         of="einsum", edits=[("axis=tuple(range(dy.ndim - 1))", "axis=0")]),
    dict(name="db over the features", fails="backward_bias", diagnosis="db summed over the wrong axis",
         of="model", edits=[("drows.sum(0)", "drows.sum(1)")]),
    dict(name="always a db", fails="backward", diagnosis="a gradient for a bias that wasn't there",
         of="model", edits=[(" if has_bias else None", "")]),
    dict(name="two gradients without a bias", fails="backward", diagnosis="None left out",
         of="loops", edits=[("return dx.reshape(x.shape), dw, None\n", "return dx.reshape(x.shape), dw\n")]),
    dict(name="the weight's gradient first", fails="backward", diagnosis="dx and dw swapped", of="float32",
         edits=[("return dx, dw, None", "return dw, dx, None"), ("return dx, dw, np", "return dw, dx, np")]),
    dict(name="works for matrices only", fails="forward", diagnosis=None, source='''
import numpy as np

def forward(x, w, b=None):
    n, d = x.shape
    y = x @ w
    if b is not None:
        y = y + b
    return y, (x, w, b)

def backward(dy, cache):
    x, w, b = cache
    return dy @ w.T, x.T @ dy, None if b is None else dy.sum(axis=0)
'''),
    dict(name="batches of matrices: dw keeps the batch", fails="backward", diagnosis="not summed over the rows",
         of="model", edits=[("dw = rows.T @ drows ", "dw = np.swapaxes(x, -1, -2) @ dy ")]),
    dict(name="the cache is used up", fails="reuse", diagnosis=None, source='''
import numpy as np

def forward(x, w, b=None):
    y = x @ w if b is None else x @ w + b
    return y, [x, w, b]

def backward(dy, cache):
    b, w, x = cache.pop(), cache.pop(), cache.pop()
    d, f = w.shape
    return dy @ w.T, x.reshape(-1, d).T @ dy.reshape(-1, f), None if b is None else dy.reshape(-1, f).sum(axis=0)
'''),
    dict(name="dw collects from call to call", fails="reuse", diagnosis="the cache spoiled by backward", source='''
import numpy as np

def forward(x, w, b=None):
    y = x @ w
    if b is not None:
        y = y + b
    return y, (x, w, np.zeros(w.shape), None if b is None else np.zeros(b.shape))

def backward(dy, cache):
    x, w, dw, db = cache
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    dw += rows.T @ drows
    if db is not None:
        db += drows.sum(axis=0)
    return dy @ w.T, dw, db
'''),
]
