"""As in Hugging Face's models: cos and sin as wide as the head, and rotate_half; float32 angles."""
import numpy as np


def rotate_half(x):
    x1, x2 = np.split(x, 2, axis=-1)
    return np.concatenate([-x2, x1], axis=-1)


def forward(x, positions, theta=10_000.0):
    e = x.shape[-1]
    inv_freq = (1.0 / (theta ** (np.arange(0, e, 2, dtype=np.float32) / e))).astype(np.float32)
    freqs = np.asarray(positions, np.float32)[:, None] * inv_freq[None, :]
    emb = np.concatenate([freqs, freqs], -1)[None, :, None, :]
    return x * np.cos(emb) + rotate_half(x) * np.sin(emb), emb


def backward(dy, cache):
    return (dy * np.cos(cache) - rotate_half(dy) * np.sin(cache),)
