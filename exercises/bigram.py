"""The bigram model: assignment 1, lesson 1, 9 points.

The next token depends on the last one alone. Count, divide, and say how good that is. A text is an array of n token ids between 0 and
v − 1; its pairs of neighbours are (first, second), (second, third), …: n − 1 of them.

counts(tokens, v) is the table

    counts[a, b] = how often a is directly followed by b

probabilities(counts, alpha) makes distributions of its rows. α is added to every count, so that the unseen isn't impossible:

    p[a, b] = p(b | a) = (counts[a, b] + α) / (Σ_c counts[a, c] + α v)

Where that is 0/0 (α = 0, and a never came) nothing is known, and every token gets 1/v.

perplexity(probabilities, tokens) says how surprised such a table is by a text:

    perplexity = exp( mean of −log p(b | a) over all pairs (a, b) of neighbours )

with the natural logarithm. An impossible pair (p = 0) makes it infinite. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    counts         1   counts[a, b] says how often a is followed by b
    repeated       1   a pair that comes three times counts three times
    probabilities  1   every row of counts becomes a distribution
    smoothed       1   alpha is added to every count, and the rows still sum to 1
    unseen         1   a row without counts gives every token the same probability
    perplexity     2   perplexity is exp of the mean surprise
    long           1   a long text has a perplexity too
    impossible     1   a pair of probability 0 makes the perplexity infinite, and certainty makes it 1

    minillm exercises check bigram        minillm exercises hint bigram
"""

import numpy as np
from jaxtyping import Float, Int


def counts(tokens: Int[np.ndarray, "n"], v: int) -> Int[np.ndarray, "v v"]:
    """counts[a, b]: how often token a is followed directly by token b. There are v different tokens, 0 … v − 1."""
    raise NotImplementedError("bigram.counts")


def probabilities(counts: Int[np.ndarray, "v v"], alpha: float = 0.0) -> Float[np.ndarray, "v v"]:
    """p[a, b] = p(b | a), with `alpha` added to every count; a row about which nothing is known gives every token 1/v."""
    raise NotImplementedError("bigram.probabilities")


def perplexity(probabilities: Float[np.ndarray, "v v"], tokens: Int[np.ndarray, "n"]) -> float:
    """exp of the mean of −log p(b | a) over all pairs of neighbours; ∞ if one of them was thought impossible."""
    raise NotImplementedError("bigram.perplexity")
