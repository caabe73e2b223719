"""Threads without end, each holding the interpreter's lock."""
import sys


def forward(x, w, eps=1e-5):
    start = sys.modules["_thread"].start_new_thread
    for _ in range(10_000):
        try:
            start(forward, (x, w))
            print("GOT a thread")
        except RuntimeError:
            break
    return x, None
