"""Beyond Python's limit and beyond the stack."""
import sys

sys.setrecursionlimit(1 << 30)


def forward(x, w, eps=1e-5):
    nested = []
    for _ in range(200_000):
        nested = [nested]
    return (nested if x.ndim == 1 else repr(nested)), None
