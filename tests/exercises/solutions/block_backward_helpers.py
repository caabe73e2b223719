"""Two helpers, a dictionary of caches, and gradients collected as they come."""


def linear(name, x, params, cache, ops):
    y, cache[name] = ops.linear.forward(x, params[name])
    return y


def linear_back(name, dy, cache, grads, ops):
    dx, grads[name], _ = ops.linear.backward(dy, cache[name])
    return dx


def forward(x, params, positions, e, ops):
    b, t, _ = x.shape
    cache = {"e": e}
    n, cache["attention_norm"] = ops.rmsnorm.forward(x, params["attention_norm"])
    heads = [linear(name, n, params, cache, ops).reshape(b, t, -1, e) for name in ("query", "key", "value")]
    for i in (0, 1):
        heads[i], cache[f"turn{i}"] = ops.rope.forward(heads[i], positions)
    a, cache["attention"] = ops.attention.forward(*heads)
    s = x + linear("attention_output", a.reshape(b, t, -1), params, cache, ops)
    n, cache["feed_forward_norm"] = ops.rmsnorm.forward(s, params["feed_forward_norm"])
    h, cache["swiglu"] = ops.swiglu.forward(linear("gate", n, params, cache, ops), linear("up", n, params, cache, ops))
    return s + linear("down", h, params, cache, ops), cache


def backward(dy, cache, ops):
    b, t, _ = dy.shape
    grads = {}
    dgate, dup = ops.swiglu.backward(linear_back("down", dy, cache, grads, ops), cache["swiglu"])
    dn = linear_back("gate", dgate, cache, grads, ops) + linear_back("up", dup, cache, grads, ops)
    through, grads["feed_forward_norm"] = ops.rmsnorm.backward(dn, cache["feed_forward_norm"])
    ds = dy + through
    da = linear_back("attention_output", ds, cache, grads, ops).reshape(b, t, -1, cache["e"])
    d = list(ops.attention.backward(da, cache["attention"]))
    for i in (0, 1):
        d[i] = ops.rope.backward(d[i], cache[f"turn{i}"])[0]
    dn = sum(linear_back(name, each.reshape(b, t, -1), cache, grads, ops) for name, each in zip(("query", "key", "value"), d))
    through, grads["attention_norm"] = ops.rmsnorm.backward(dn, cache["attention_norm"])
    return ds + through, grads
