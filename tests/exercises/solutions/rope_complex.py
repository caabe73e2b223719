"""A pair is a complex number, and a turn is a product with e^(ia)."""
import numpy as np


def turn(x, turns):
    e = x.shape[-1]
    z = (x[..., :e // 2] + 1j * x[..., e // 2:]) * turns
    return np.concatenate((z.real, z.imag), -1)


def forward(x, positions, theta=10_000.0):
    e = x.shape[-1]
    a = np.outer(positions, theta ** (-np.arange(0, e, 2) / e))
    turns = np.exp(1j * a)[None, :, None]
    return turn(x, turns), turns


def backward(dy, cache):
    return (turn(dy, np.conj(cache)),)
