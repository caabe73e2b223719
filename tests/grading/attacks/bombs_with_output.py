"""Prints for ever."""


def forward(x, w, eps=1e-5):
    while True:
        print("passed " * 1000)
