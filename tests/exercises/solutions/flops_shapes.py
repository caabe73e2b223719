from math import prod


def matrices(d, h, k, e, f):
    return [(d, h * e), (d, k * e), (d, k * e), (h * e, d), (d, f), (d, f), (f, d)]


def parameters(v, d, layers, h, k, e, f, tied=False):
    total = 0
    for _ in range(layers):
        total += sum(prod(shape) for shape in matrices(d, h, k, e, f))
        total += d + d
    total += d
    total += v * d
    if not tied:
        total += v * d
    return total


def forward_flops(v, d, layers, h, k, e, f, t):
    flops = 0
    for _ in range(layers):
        for rows, columns in matrices(d, h, k, e, f):
            flops += 2 * t * rows * columns
        for query in range(t):
            keys = query + 1
            flops += h * (2 * e * keys + 2 * keys * e)
    return flops + 2 * t * d * v


def training_flops(v, d, layers, h, k, e, f, t):
    forward = forward_flops(v, d, layers, h, k, e, f, t)
    return forward + 2 * forward


def six_nd(n, tokens):
    return 6 * n * tokens
