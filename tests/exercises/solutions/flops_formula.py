def block(d, h, k, e, f):
    return 2 * d * e * (h + k) + 3 * d * f


def parameters(v, d, layers, h, k, e, f, tied=False):
    return layers * (block(d, h, k, e, f) + 2 * d) + d * (1 + v * (2 - bool(tied)))


def training_flops(v, d, layers, h, k, e, f, t):
    # 6 (M + V) t + 6 · layers · h e · t (t + 1)
    return 6 * t * (layers * block(d, h, k, e, f) + v * d) + 6 * layers * h * e * t * (t + 1)


def forward_flops(v, d, layers, h, k, e, f, t):
    return training_flops(v, d, layers, h, k, e, f, t) // 3


def six_nd(n, tokens):
    return 2 * n * tokens + 4 * n * tokens
