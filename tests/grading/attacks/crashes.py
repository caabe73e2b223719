"""Reads address 0, and if that is no crash, writes far outside of an array."""
import numpy as np


def forward(x, w, eps=1e-5):
    wild = np.lib.stride_tricks.as_strided(np.zeros(1), (1 << 20,), (1 << 20,))
    wild[:] = 1
    return x * 0, None
