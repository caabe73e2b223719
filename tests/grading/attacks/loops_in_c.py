"""A loop inside C, where no Python signal handler is ever called."""


def forward(x, w, eps=1e-5):
    return sum(iter(int, 1)), None
