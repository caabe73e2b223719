"""Linear layers as plain products, one matrix for gate and up side by side, and everything kept in a closure-like list."""
import numpy as np


def product_back(x, w, dy):
    return dy @ w.T, np.tensordot(x, dy, axes=([0, 1], [0, 1]))


def forward(x, params, positions, e, ops):
    b, t, d = x.shape
    n1, c1 = ops.rmsnorm.forward(x, params["attention_norm"])
    q, cq = ops.rope.forward((n1 @ params["query"]).reshape(b, t, -1, e), positions)
    k, ck = ops.rope.forward((n1 @ params["key"]).reshape(b, t, -1, e), positions)
    a, ca = ops.attention.forward(q, k, (n1 @ params["value"]).reshape(b, t, -1, e))
    s = x + a.reshape(b, t, -1) @ params["attention_output"]
    n2, c2 = ops.rmsnorm.forward(s, params["feed_forward_norm"])
    both = np.concatenate([params["gate"], params["up"]], axis=1)
    gate, up = np.split(n2 @ both, 2, axis=-1)
    h, ch = ops.swiglu.forward(gate, up)
    return s + h @ params["down"], [params, e, n1, c1, cq, ck, a, ca, n2, c2, both, h, ch]


def backward(dy, cache, ops):
    params, e, n1, c1, cq, ck, a, ca, n2, c2, both, h, ch = cache
    b, t, d = dy.shape
    g = dict.fromkeys(params)
    dh, g["down"] = product_back(h, params["down"], dy)
    dn2, dboth = product_back(n2, both, np.concatenate(ops.swiglu.backward(dh, ch), axis=-1))
    g["gate"], g["up"] = np.split(dboth, 2, axis=1)
    dx, g["feed_forward_norm"] = ops.rmsnorm.backward(dn2, c2)
    dx = dx + dy
    da, g["attention_output"] = product_back(a.reshape(b, t, -1), params["attention_output"], dx)
    dq, dk, dv = ops.attention.backward(da.reshape(b, t, -1, e), ca)
    dq, dk = ops.rope.backward(dq, cq)[0], ops.rope.backward(dk, ck)[0]
    dn1 = 0
    for name, each in (("query", dq), ("key", dk), ("value", dv)):
        back, g[name] = product_back(n1, params[name], each.reshape(b, t, -1))
        dn1 = dn1 + back
    back, g["attention_norm"] = ops.rmsnorm.backward(dn1, c1)
    return dx + back, g
