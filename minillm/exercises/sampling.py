"""What is asked of sampling, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float
from .exercise import Check, call, mistake


def probabilities(logits: Float[Any, "v"], temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Float[Any, "v"]:
    """What each token may be drawn with: 0 for those that were cut off. `top_k` and `top_p` cut where they are not None."""
    if temperature == 0:
        return np.where(np.arange(len(logits)) == logits.argmax(), 1.0, 0.0)
    z = (logits - logits.max()) / temperature
    if top_k is not None and top_k < len(z):
        z = np.where(z >= np.sort(z)[-top_k], z, -np.inf)
    p = np.exp(z)
    p = p / p.sum()
    if top_p is not None:
        order = np.argsort(-p, kind="stable")
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= top_p]] = 0
        p = p / p.sum()
    return p


def draw(p: Float[Any, "v"], u: float) -> int:
    """The first token at which the sum of p, from the first token on, exceeds u."""
    return int(np.searchsorted(np.cumsum(p), u, side="right"))


FUNCTIONS = {"probabilities": probabilities, "draw": draw}


def spread(rng, v):
    """Logits at least 0.2 apart, in no order: no cut is near another."""
    return rng.permutation(np.arange(v) * 0.5 + rng.uniform(0, 0.3, v)) - 1


def plain(rng):
    for v in (5, 9):
        yield call("probabilities", logits=spread(rng, v))


def temperatures(rng):
    for v, temperature in ((5, 0.5), (7, 2.0), (6, float(rng.uniform(0.6, 0.8)))):
        yield call("probabilities", logits=spread(rng, v), options={"temperature": temperature})


def greedy(rng):
    """Temperature 0, also where the two largest are equal."""
    logits = spread(rng, 6)
    yield call("probabilities", logits=logits, options={"temperature": 0.0})
    tied = np.array([-1.0, 2.0, 0.5, 2.0])
    yield call("probabilities", logits=np.roll(tied, rng.integers(0, 2)), options={"temperature": 0.0})


def large(rng):
    """Logits, or a temperature, that make exp overflow."""
    logits = spread(rng, 5)
    yield call("probabilities", logits=logits + 2000)
    yield call("probabilities", logits=logits * 3, options={"temperature": 0.002})


def top_ks(rng):
    for v, k, temperature in ((7, 3, 1.0), (9, 5, 2.0), (6, 2, 1.0)):
        yield call("probabilities", logits=spread(rng, v), options={"temperature": temperature, "top_k": k})


def tied(rng):
    """Two tokens are the k-th largest: both stay. And k = 1, and k as large as there are tokens, and larger."""
    for k in (1, 6, 50):
        yield call("probabilities", logits=spread(rng, 6), options={"top_k": k})
    for k, logits in ((2, [1.5, 0.3, 0.3, -1.0, -0.5]), (3, [0.5, 2.0, -1.0, 0.5, -1.0, -3.0, -1.0])):
        yield call("probabilities", logits=rng.permutation(logits), options={"top_k": k})


# Distributions whose sums from above stay away from the numbers at which they are cut.
SHARES = (([0.4, 0.25, 0.15, 0.12, 0.08], 0.55), ([0.4, 0.25, 0.15, 0.12, 0.08], 0.7), ([0.3, 0.24, 0.2, 0.14, 0.12], 0.9),
([0.6, 0.2, 0.15, 0.05], 0.3))


def top_ps(rng):
    """The first of these cuts in the middle; the last leaves the likeliest token alone, though its probability is more than p."""
    for shares, p in SHARES:
        yield call("probabilities", logits=np.log(rng.permutation(shares)) + rng.normal(), options={"top_p": p})
    yield call("probabilities", logits=spread(rng, 6), options={"top_p": 1.0})


def together(rng):
    """The temperature changes what top-p keeps, and top-k comes before top-p."""
    for temperature, k, p in ((2.0, None, 0.7), (0.5, None, 0.8), (1.0, 3, 0.7), (1.6, 4, 0.72)):
        yield call("probabilities", logits=np.log(rng.permutation([0.4, 0.25, 0.15, 0.12, 0.05, 0.03])), options={"temperature": temperature,
            "top_k": k, "top_p": p})


def draws(rng):
    p = np.array([0.1, 0.3, 0.2, 0.15, 0.25])
    for u in (0.05, 0.15, 0.45, 0.55, 0.7, 0.9):
        yield call("draw", p=p, u=u)
    q = rng.dirichlet(np.ones(6)) * 0.9 + 0.1 / 6
    yield call("draw", p=q, u=float(q[:3].sum() + q[3] / 2))


def impossible(rng):
    """Tokens of probability 0 are never drawn, whatever u: also not the first ones at u = 0, the last ones at almost 1, those on a seam."""
    p = np.array([0, 0, 0.5, 0, 0.25, 0.25, 0, 0])
    for u in (0.0, 0.5, 0.75, 0.999):
        yield call("draw", p=p, u=u)


CHECKS = [
    Check("plain", "without any settings it is the softmax of the logits", plain),
    Check("temperature", "the logits are divided by the temperature", temperatures, after=("plain",)),
    Check("greedy", "at temperature 0 the largest logit is certain, the first of several", greedy, after=("plain",)),
    Check("large", "large logits and small temperatures come out finite and right", large, after=("temperature",), says="e^x overflows for large x."),
    Check("top_k", "top-k leaves the k likeliest, and they sum to 1 again", top_ks, after=("temperature",)),
    Check("ties", "tokens that tie with the k-th all stay; k may be 1, or more than there are", tied, after=("top_k",)),
    Check("top_p", "top-p leaves the smallest set whose probability reaches p", top_ps, after=("temperature",)),
    Check("together", "the temperature comes first, then top-k, then top-p", together, after=("top_k", "top_p")),
    Check("draw", "u falls on the token whose share of [0, 1) it is in", draws),
    Check("impossible", "what has probability 0 is never drawn", impossible, after=("draw",)),
]

GREEDY, Z = "np.where(np.arange(len(logits)) == logits.argmax(), 1.0, 0.0)", "z = (logits - logits.max()) / temperature"
KTH = "z >= np.sort(z)[-top_k]"
BEFORE, CUT, LAST = "before = np.cumsum(p[order]) - p[order]", "p[order[before >= top_p]] = 0", "        p = p / p.sum()\n    return p"
DRAW = 'int(np.searchsorted(np.cumsum(p), u, side="right"))'
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("temperature multiplied", "A high temperature makes the distribution flatter: are the logits multiplied or divided?",
     (Z, "z = (logits - logits.max()) * temperature")),
    ("temperature forgotten", "By what are the logits divided?", (Z, "z = logits - logits.max()")),
    ("temperature after the softmax", "The temperature divides the logits, before exp.",
     (Z, "z = logits - logits.max()"), ("    p = p / p.sum()\n    if top_p", "    p = p / p.sum() / temperature\n    if top_p")),
    ("all of the largest at temperature 0", "Of equally large logits the first is taken, and it is certain.",
     (GREEDY, "np.where(logits == logits.max(), 1.0, 0.0) / (logits == logits.max()).sum()")),
    ("the last of the largest at temperature 0", "Of equally large logits the first is taken.",
     (GREEDY, GREEDY.replace("logits.argmax()", "len(logits) - 1 - logits[::-1].argmax()"))),
    ("division by temperature 0", "What do you divide by at temperature 0? It needs a case of its own.",
     ("if temperature == 0:", "if temperature < 0:"), (Z, "z = (logits - logits.max()) / np.float64(temperature)")),
    ("overflow in exp", "e^x overflows for large x. What may be subtracted from all logits first?", (Z, "z = logits / temperature")),
    ("top-k keeps one too few", "The k-th largest stays, too.", (KTH, KTH.replace(">=", ">"))),
    ("top-k keeps one too many", "How many are at least as large as your threshold?", (KTH, "z >= np.sort(z)[-min(top_k + 1, len(z))]")),
    ("top-k keeps the smallest", "Is your sorting upwards or downwards?", (KTH, "z <= np.sort(z)[top_k - 1]")),
    ("top-k counted from below", "The k-th largest is the k-th from above: is your sorting upwards or downwards?",
     (KTH, "z >= np.sort(z)[top_k - 1]")),
    ("top-k cuts the logits to 0", "e⁰ is 1: a logit of 0 still gets probability. What has to stand there?",
     ("z, -np.inf)", "z + logits.max() / temperature, 0)")),
    ("top-k without ties", "Tokens that tie with the k-th all stay.", (KTH, "np.argsort(np.argsort(-z, kind='stable'), kind='stable') < top_k")),
    ("top-k not renormalised", "What is left must sum to 1.",
     ("    p = np.exp(z)\n    p = p / p.sum()", "    p = np.exp(z)\n    p = p / np.exp((logits - logits.max()) / temperature).sum()")),
    ("top-p leaves out the token that crosses p", "The set must reach p: the token with which it does so belongs to it.",
     (CUT, "p[order[np.cumsum(p[order]) > top_p]] = 0"),
     ("        p = p / p.sum()\n", "        p = p / max(p.sum(), 1e-300)\n")),
    ("top-p keeps one too many", "A token stays if those before it sum to less than p, without its own.",
     (CUT, "p[order[1:][before[:-1] >= top_p]] = 0")),
    ("top-p not sorted", "The likeliest tokens first: in which order are they summed?", ('np.argsort(-p, kind="stable")', "np.arange(len(p))")),
    ("top-p sorted upwards", "The likeliest tokens first: is your sorting upwards or downwards?",
     ('np.argsort(-p, kind="stable")', 'np.argsort(p, kind="stable")')),
    ("top-p in the order of sorting", "The sorted probabilities must go back to the places of their tokens.", (CUT, "p[before >= top_p] = 0")),
    ("top-p as a threshold", "p is no bound for single probabilities, but for their sum.", (CUT, "p[p < min(1 - top_p, p.max())] = 0")),
    ("top-p not renormalised", "What is left must sum to 1 again.", (LAST, "    return p")),
    ("top-p before the temperature", "Top-p looks at the probabilities as the temperature has made them.",
     (BEFORE, "cold = np.exp(logits - logits.max()) * (p > 0)\n        cold = cold / cold.sum()\n"
      "        before = np.cumsum(cold[order]) - cold[order]")),
    ("top-p before top-k", "Top-p looks at what top-k has left, made to sum to 1 again.",
     (BEFORE, "whole = np.exp((logits - logits.max()) / temperature)\n        whole = whole / whole.sum()\n"
      "        before = np.cumsum(whole[order]) - whole[order]")),
    ("the likeliest token drawn", "u decides: even an unlikely token is drawn now and then.", (DRAW, "int(p.argmax())")),
    ("draw off by one: the token after", "If u is below the first probability, the first token is drawn.", (DRAW, DRAW.replace("int(", "int(1 + "))),
    ("draw off by one: the token before", "Count from token 0: how many sums are at most u?", (DRAW, DRAW.replace("int(", "int(-1 + "))),
    ("draw in sorted order", "The tokens share [0, 1) in the order of their ids.",
     (DRAW, 'int(np.argsort(-p, kind="stable")[np.searchsorted(np.cumsum(np.sort(p)[::-1]), u, side="right")])')),
    ("u compared with the probabilities, not their sums", "u falls into a share of [0, 1): the shares are laid end to end.",
     (DRAW, "int(np.argmax(p > u))")),
    ("a seam goes to the token before", "The sum must exceed u, not only reach it: at u = 0 nothing of probability 0 may come.",
     (DRAW, DRAW.replace("right", "left"))),
]]
