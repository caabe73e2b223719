"""Batches of next-token problems: assignment 1, lesson 1, 9 points.

A text is an array of n token ids. A next-token problem is an input and its target, the token one further on; a row of a batch is a
window of t of them side by side:

    tokens     5  9  2  7  4  1  …
    inputs     5  9  2  7                a window that starts at place 0, t = 4
    targets    9  2  7  4

num_starts(n, t): at how many places can a window start, so that every input has its target? 0 if the text is too short.

batch(tokens, starts, t) returns (inputs, targets), both of shape (b, t): row i is the window that starts at place starts[i].

epoch(tokens, t, ignore) returns (inputs, targets) for windows put end to end, at places 0, t, 2t, …: every token but the first is a
target exactly once. If the last row isn't full, its inputs are filled up with 0, its targets with `ignore`, which the loss leaves out.

    inputs     5  9  2  7                t = 4, and a text of 6 tokens
               4  0  0  0
    targets    9  2  7  4
               1  ignore  ignore  ignore

Tokens may be numbers of 16 bits without a sign (uint16), as they are on disk; `ignore` may be negative. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    num_starts  1   num_starts counts the places where a window fits
    short       1   a text that is too short has no place for a window
    batch       2   batch cuts the inputs and the tokens one further on
    epoch       2   in an epoch every token but the first is a target exactly once
    padded      2   the last row is filled up, and what was filled up is ignored
    unsigned    1   tokens of 16 bits without a sign will do

    minillm exercises check batches        minillm exercises hint batches
"""

import numpy as np
from jaxtyping import Int, Integer


def num_starts(n: int, t: int) -> int:
    """At how many places of a text of n tokens a window of t inputs can start, so that every input has a token after it."""
    raise NotImplementedError("batches.num_starts")


def batch(tokens: Integer[np.ndarray, "n"], starts: Int[np.ndarray, "b"],
          t: int) -> tuple[Integer[np.ndarray, "b t"], Integer[np.ndarray, "b t"]]:
    """(inputs, targets): a row for each start. Targets are the tokens one further on."""
    raise NotImplementedError("batches.batch")


def epoch(tokens: Integer[np.ndarray, "n"], t: int,
          ignore: int = -100) -> tuple[Int[np.ndarray, "rows t"], Int[np.ndarray, "rows t"]]:
    """(inputs, targets) of windows put end to end: every token but the first is a target exactly once. The last row is filled up with
    input 0 and target `ignore`.
    """
    raise NotImplementedError("batches.epoch")
