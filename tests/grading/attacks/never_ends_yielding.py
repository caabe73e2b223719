"""Generators, ranges and iterators without an end, where an array is asked for."""
import itertools


class Endless(list):
    def __iter__(self):
        return itertools.count()

    def __len__(self):
        return 1 << 60


def forward(x, w, eps=1e-5):
    return (Endless() if x.ndim > 1 else itertools.count()), (i for i in itertools.count())
