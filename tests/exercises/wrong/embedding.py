"""Wrong embeddings, as students write them."""

WRONG = [
    dict(name="dw[ids] += dy", fails="repeated", diagnosis="repeated ids overwrite",
         of="model", edits=[("np.add.at(dw, ids.reshape(-1), dy.reshape(-1, shape[1]))", "dw[ids] += dy")]),
    dict(name="dw[id] = dy in a loop", fails="repeated", diagnosis="repeated ids overwrite",
         of="loop", edits=[('dw[cache["ids"][place]] += dy[place]', 'dw[cache["ids"][place]] = dy[place]')]),
    dict(name="the first one wins", fails="repeated", diagnosis="first of repeated ids only", source='''
import numpy as np

def forward(ids, w):
    return w[ids], (ids, w)

def backward(dy, cache):
    ids, w = cache
    dw = np.zeros_like(w)
    found, first = np.unique(ids, return_index=True)
    dw[found] = dy.reshape(-1, w.shape[1])[first]
    return (dw,)
'''),
    dict(name="averaged over the places", fails="repeated", diagnosis="mean over repeated ids", of="onehot",
         edits=[("return (cache.reshape(-1, v).T @ dy.reshape(-1, dy.shape[-1]),)",
             "c = cache.reshape(-1, v)\n    return (c.T @ dy.reshape(-1, dy.shape[-1]) / np.maximum(c.sum(0), 1)[:, None],)")]),
    dict(name="dw is dy", fails="backward", diagnosis="dw of the shape of dy", of="take",
         edits=[("return (np.stack(columns, axis=1),)", "return (dy,)")]),
    dict(name="a table of the length of the text", fails="backward", diagnosis=None,
         of="model", edits=[("dw = np.zeros(shape)", "dw = np.zeros((len(ids), shape[1]))")]),
    dict(name="as a column", fails="forward", diagnosis=None, of="model", edits=[("return w[ids], ", "return w[:, ids], ")]),
    dict(name="ids from 1", fails="forward", diagnosis="ids counted from 1",
         of="take", edits=[("np.take(w, ids, axis=0)", "np.take(w, ids - 1, axis=0)")]),
    dict(name="starts from w", fails="backward", diagnosis="rows that never came get w", source='''
import numpy as np

def forward(ids, w):
    return w[ids], (ids, w)

def backward(dy, cache):
    ids, w = cache
    dw = w.copy()
    np.add.at(dw, ids, dy)
    return (dw,)
'''),
    dict(name="an extra gradient for the ids", fails="backward", diagnosis=None,
         of="onehot", edits=[("return (cache.reshape(-1, v).T @ dy.reshape(-1, dy.shape[-1]),)",
            "return None, cache.reshape(-1, v).T @ dy.reshape(-1, dy.shape[-1])")]),
    dict(name="one axis of ids only", fails="shapes", diagnosis=None, source='''
import numpy as np

def forward(ids, w):
    return np.stack([w[i] for i in ids]), (ids, w.shape)

def backward(dy, cache):
    ids, shape = cache
    dw = np.zeros(shape)
    for i, g in zip(ids, dy):
        dw[i] += g
    return (dw,)
'''),
    dict(name="collects in the cache", fails="reuse", diagnosis="the cache spoiled by backward",
         of="model", edits=[("(ids, w.shape)", "(ids, np.zeros(w.shape))"),
         ("    ids, shape = cache\n    dw = np.zeros(shape)\n", "    ids, dw = cache\n    shape = dw.shape\n")]),
]
