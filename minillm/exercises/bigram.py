"""What is asked of the bigram model, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float, Int
from .exercise import Check, call, mistake


def counts(tokens: Int[Any, "n"], v: int) -> Int[Any, "v v"]:
    """counts[a, b]: how often token a is followed directly by token b. There are v different tokens, 0 … v − 1."""
    table = np.zeros((v, v), np.int64)
    np.add.at(table, (tokens[:-1], tokens[1:]), 1)
    return table


def probabilities(counts: Int[Any, "v v"], alpha: float = 0.0) -> Float[Any, "v v"]:
    """p[a, b] = p(b | a), with `alpha` added to every count; a row about which nothing is known gives every token 1/v."""
    table = counts + alpha
    total = table.sum(axis=1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), 1 / len(table))


def perplexity(probabilities: Float[Any, "v v"], tokens: Int[Any, "n"]) -> float:
    """exp of the mean of −log p(b | a) over all pairs of neighbours; ∞ if one of them was thought impossible."""
    with np.errstate(divide="ignore"):
        surprise = -np.log(probabilities[tokens[:-1], tokens[1:]])
    return float(np.exp(surprise.mean()))


FUNCTIONS = {"counts": counts, "probabilities": probabilities, "perplexity": perplexity}


def once(rng):
    """Texts in which no pair comes twice: steps of 1, then steps of 2."""
    for v in (5, 7):
        yield call("counts", tokens=rng.permutation(v), v=v + 2)
        yield call("counts", tokens=np.concatenate([np.arange(v), np.arange(1, v, 2)[::-1]]), v=v)


def repeated(rng):
    """Many pairs twice and more, tokens that never come, a text of two tokens."""
    for n, v, size in ((40, 3, 4), (12, 2, 5), (60, 5, 5)):
        yield call("counts", tokens=rng.integers(0, v, n), v=size)
    yield call("counts", tokens=np.zeros(6, np.int64), v=2)
    yield call("counts", tokens=np.array([2, 1]), v=3)


def table(rng, v):
    """Counts, no row or column of which sums to nothing."""
    return rng.integers(1, 10, (v, v)) * rng.integers(1, 4, (v, 1))


def shares(rng):
    for v in (2, 3, 5):
        yield call("probabilities", counts=table(rng, v))


def smoothed(rng):
    for v in (2, 3, 5):
        yield call("probabilities", counts=table(rng, v) * (rng.uniform(size=(v, v)) > 0.3), options={"alpha": float(rng.uniform(0.5, 2))})
    yield call("probabilities", counts=np.zeros((3, 3), np.int64), options={"alpha": 0.5})


def unseen(rng):
    found = table(rng, 4)
    found[rng.integers(4)] = 0
    yield call("probabilities", counts=found)
    yield call("probabilities", counts=np.zeros((3, 3), np.int64))


def distributions(rng, v):
    drawn = rng.gamma(1, size=(v, v)) + 0.05
    return drawn / drawn.sum(axis=1, keepdims=True)


def perplexities(rng):
    for n, v in ((6, 3), (15, 4), (2, 5)):
        yield call("perplexity", probabilities=distributions(rng, v), tokens=rng.integers(0, v, n))


def long(rng):
    """The product of the probabilities of 4,000 pairs is 0 in floating point."""
    yield call("perplexity", probabilities=distributions(rng, 6), tokens=rng.integers(0, 6, 4001))


def impossible(rng):
    p = distributions(rng, 3)
    p[1, 2], p[1, 1] = 0, p[1, 1] + p[1, 2]
    yield call("perplexity", probabilities=p, tokens=np.array([0, 1, 2, 2, 0]))
    yield call("perplexity", probabilities=p, tokens=np.array([0, 1, 1, 0, 2]))
    yield call("perplexity", probabilities=np.eye(3)[[1, 2, 0]], tokens=np.array([0, 1, 2, 0, 1]))


CHECKS = [
    Check("counts", "counts[a, b] says how often a is followed by b", once),
    Check("repeated", "a pair that comes three times counts three times", repeated, after=("counts",)),
    Check("probabilities", "every row of counts becomes a distribution", shares),
    Check("smoothed", "alpha is added to every count, and the rows still sum to 1", smoothed, after=("probabilities",)),
    Check("unseen", "a row without counts gives every token the same probability", unseen, after=("probabilities",)),
    Check("perplexity", "perplexity is exp of the mean surprise", perplexities),
    Check("long", "a long text has a perplexity too", long, after=("perplexity",),
          says="A product of thousands of probabilities is 0 in floating point."),
    Check("impossible", "a pair of probability 0 makes the perplexity infinite, and certainty makes it 1", impossible, after=("perplexity",)),
]

PAIRS, ADD, MEAN = "(tokens[:-1], tokens[1:])", "np.add.at(table, (tokens[:-1], tokens[1:]), 1)", "float(np.exp(surprise.mean()))"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("counts transposed", "counts[a, b]: a comes first, then b. Which of your axes is the token before?",
     (ADD, ADD.replace(PAIRS, "(tokens[1:], tokens[:-1])"))),
    ("repeated pairs counted once", "table[a, b] += 1 with arrays a and b adds 1 once to each place, however often it is named. What adds each time?",
     (ADD, "table[tokens[:-1], tokens[1:]] += 1")),
    ("last pair forgotten", "A text of n tokens has n − 1 pairs. How many do you count?", (ADD, ADD.replace(PAIRS, "(tokens[:-2], tokens[1:-1])"))),
    ("last token followed by the first", "Nothing follows the last token. Does your text go round in a circle?",
     (ADD, ADD.replace(PAIRS, "(tokens, np.roll(tokens, -1))"))),
    ("first pair forgotten", "The first token is followed by the second: that is a pair too.",
     (ADD, ADD.replace(PAIRS, "(tokens[1:-1], tokens[2:])"))),
    ("both orders counted", "a followed by b is another event than b followed by a.",
     (ADD, f"{ADD}\n    np.add.at(table, (tokens[1:], tokens[:-1]), 1)")),
    ("columns normalised, not rows", "p[a, ·] says what follows a: for each a it sums to 1. Over which axis do you sum?",
     ("axis=1, keepdims=True", "axis=0, keepdims=True")),
    ("sums laid along the columns", "The sum of row a divides row a. Which shape must the sums have for that?",
     ("table.sum(axis=1, keepdims=True)", "table.sum(axis=1)")),
    ("normalised over the whole table", "That is the probability of the pair. Asked for is the probability of b when a is known.",
     ("table.sum(axis=1, keepdims=True)", "table.sum(keepdims=True)")),
    ("α missing below", "If α is added to each of v counts, by how much does their sum grow?", ("table.sum(axis=1", "counts.sum(axis=1")),
    ("α added once below", "If α is added to each of v counts, by how much does their sum grow?",
     ("table.sum(axis=1, keepdims=True)", "counts.sum(axis=1, keepdims=True) + alpha")),
    ("always α = 1", "α is an argument.", ("table = counts + alpha", "table = counts + (alpha > 0)")),
    ("α only where nothing was counted", "α is added to every count, not only to those that are 0.",
     ("table = counts + alpha", "table = np.where(counts == 0, alpha, counts)")),
    ("a row without counts: zero by zero", "What is known about what follows a token that never came? Say that every token is equally likely.",
     ("np.where(total > 0, table / np.where(total > 0, total, 1), 1 / len(table))", "table / total")),
    ("a row without counts left zero", "Each row is a distribution, also that of a token that never came: give every token 1/v.",
     ("1), 1 / len(table))", "1), 0.0)")),
    ("no exponential", "That is the mean surprise, the loss. Perplexity is its exponential.", (MEAN, "float(surprise.mean())")),
    ("sign", "log p is negative: is the perplexity above 1?", ("surprise = -np.log", "surprise = np.log")),
    ("sum for mean", "The surprise is averaged over the pairs before the exponential.", (MEAN, "float(np.exp(surprise.sum()))")),
    ("divided by the tokens, not the pairs", "A text of n tokens has n − 1 pairs. By how many do you divide?",
     (MEAN, "float(np.exp(surprise.sum() / len(tokens)))")),
    ("two logarithms mixed", "If the logarithm is to the base 2, so must the exponential be.", (MEAN, "float(2 ** surprise.mean())")),
    ("base 2 and base e mixed", "If the logarithm is to the base 2, so must the exponential be.", ("surprise = -np.log(", "surprise = -np.log2(")),
    ("impossible pairs skipped", "An impossible pair makes the perplexity infinite: it may not be left out.",
     ("    return float(np.exp", "    surprise = np.where(np.isfinite(surprise), surprise, 0)\n    return float(np.exp")),
    ("mean of 1/p", "Perplexity is a geometric mean: average the logarithms, not the numbers.", (MEAN, "float(np.exp(surprise).mean())")),
    ("p(a | b) looked up", "The probability of the second token, given the first, stands in the first one's row.",
     ("probabilities[tokens[:-1], tokens[1:]]", "probabilities[tokens[1:], tokens[:-1]]")),
    ("product underflows", "A product of thousands of probabilities is 0 in floating point. Which function turns a product into a sum?",
     (MEAN, "float(np.float64(np.exp(-surprise).prod()) ** (-1 / len(surprise)))")),
    ("zeros hidden by a small number", "An impossible pair makes the perplexity infinite: don't add anything to p.",
     ("-np.log(probabilities[tokens[:-1], tokens[1:]])",
            "-np.log(probabilities[tokens[:-1], tokens[1:]] + 1e-12)")),
]]
