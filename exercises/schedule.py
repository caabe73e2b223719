"""Cosine schedule with warm-up: assignment 5, lesson 6, 8 points.

The learning rate of step s, in a run of S steps (s = 0, 1, …, S − 1) with w of them as a warm-up. L is the peak, l the end:

    s < w        η = L · (s + 1) / w                          a straight line: step w − 1 has the peak
    s ≥ w        p = (s − w) / (S − 1 − w)                    the share of the way from the warm-up to the last step
                 η = l + ½ (L − l) (1 + cos πp)               half a cosine, from L down to l

So step w has the peak again, and the last step, S − 1, has exactly l. Whoever goes on after it stays at l: p is never above 1. If the
warm-up leaves one step only (S − 1 = w), that step has the peak: then take 1 for the denominator of p. w may be 0.

learning_rate(step, steps, peak, final, warmup) returns one number.

What is checked, and for how many points (each check has 5 s and 512 MB):

    warmup  2   the learning rate rises in equal steps to the peak
    cosine  2   then it falls along a cosine
    ends    1   it begins to fall from the peak, and its last step is exactly the end
    cold    1   there may be no warm-up
    after   1   after the last step it stays at the end
    short   1   a run may be over when the warm-up is

    minillm exercises check schedule        minillm exercises hint schedule
"""

import numpy as np


def learning_rate(step: int, steps: int, peak: float, final: float, warmup: int) -> float:
    """The learning rate of step 0, 1, …, steps − 1."""
    raise NotImplementedError("schedule.learning_rate")
