"""Sampling: assignment 5, lesson 6, 13 points.

From the logits of the next token to a token: sharpen or flatten the distribution, cut off its tail, throw the dice.

probabilities(logits, temperature, top_k, top_p) returns a probability for each token, 0 for those that were cut off. In this order:

    temperature T    z ← z / T. T = 0: the largest logit has probability 1, the first of several, and that is all
    top-k            if it isn't None: only z_i ≥ the k-th largest stay, so tokens that tie with the k-th all do
    p = softmax(z)   over what is left; subtract the largest z first, so that exp can't overflow
    top-p            if it isn't None: sorted downwards, a token stays if those before it sum to less than top_p. So the token that crosses
                     top_p stays, and the likeliest always does. What is left is made to sum to 1 again

draw(p, u) returns a token id, an int. u was drawn uniformly from [0, 1). The tokens share [0, 1) in the order of their ids, each as much as its
probability, and the one in whose share u lies is drawn: the first at which the sum p_0 + p_1 + … exceeds u. A token of probability 0 is
never drawn. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    plain        1   without any settings it is the softmax of the logits
    temperature  1   the logits are divided by the temperature
    greedy       1   at temperature 0 the largest logit is certain, the first of several
    large        1   large logits and small temperatures come out finite and right
    top_k        2   top-k leaves the k likeliest, and they sum to 1 again
    ties         1   tokens that tie with the k-th all stay; k may be 1, or more than there are
    top_p        2   top-p leaves the smallest set whose probability reaches p
    together     1   the temperature comes first, then top-k, then top-p
    draw         2   u falls on the token whose share of [0, 1) it is in
    impossible   1   what has probability 0 is never drawn

    minillm exercises check sampling        minillm exercises hint sampling
"""

import numpy as np
from jaxtyping import Float


def probabilities(logits: Float[np.ndarray, "v"], temperature: float = 1.0, top_k: int | None = None,
                  top_p: float | None = None) -> Float[np.ndarray, "v"]:
    """What each token may be drawn with: 0 for those that were cut off. `top_k` and `top_p` cut where they are not None."""
    raise NotImplementedError("sampling.probabilities")


def draw(p: Float[np.ndarray, "v"], u: float) -> int:
    """The first token at which the sum of p, from the first token on, exceeds u."""
    raise NotImplementedError("sampling.draw")
