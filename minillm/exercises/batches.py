"""What is asked of a batch of next-token problems, and what goes wrong."""

import numpy as np
from jaxtyping import Integer

from ..arrays import Any, Int
from .exercise import Check, call, mistake


def num_starts(n: int, t: int) -> int:
    """At how many places of a text of n tokens a window of t inputs can start, so that every input has a token after it."""
    return max(0, n - t)


def batch(tokens: Integer[Any, "n"], starts: Int[Any, "b"], t: int) -> tuple[Integer[Any, "b t"], Integer[Any, "b t"]]:
    """(inputs, targets): a row for each start. Targets are the tokens one further on."""
    places = starts[:, None] + np.arange(t)
    return tokens[places], tokens[places + 1]


def epoch(tokens: Integer[Any, "n"], t: int, ignore: int = -100) -> tuple[Int[Any, "rows t"], Int[Any, "rows t"]]:
    """(inputs, targets) of windows put end to end: every token but the first is a target exactly once. The last row is filled up with
    input 0 and target `ignore`."""
    n = len(tokens) - 1
    rows = -(-n // t)
    inputs, targets = np.zeros(rows * t, np.int64), np.full(rows * t, ignore)
    inputs[:n], targets[:n] = tokens[:-1], tokens[1:]
    return inputs.reshape(rows, t), targets.reshape(rows, t)


FUNCTIONS = {"num_starts": num_starts, "batch": batch, "epoch": epoch}


def numbers(rng):
    for n, t in ((10, 3), (7, 6), (9, 1), (int(rng.integers(50, 100)), int(rng.integers(5, 20)))):
        yield call("num_starts", n=n, t=t)


def short(rng):
    """A text that is just long enough, one that isn't, and one far from it."""
    for n, t in ((5, 4), (5, 5), (5, 8), (0, 3)):
        yield call("num_starts", n=n, t=t)


def text(rng, n, v=1000):
    """n different tokens, never 0: each window can be told from each other, and from padding."""
    return 1 + rng.permutation(max(n, v))[:n]


def batches(rng):
    """The first and the last place among the starts, the same one twice, in no order."""
    for n, b, t in ((20, 3, 4), (11, 5, 5), (9, 2, 1), (8, 1, 7)):
        starts = rng.integers(0, n - t, b)
        starts[-1], starts[0] = 0, n - t - 1
        yield call("batch", returns=("inputs", "targets"), tokens=text(rng, n), starts=starts, t=t)


def epochs(rng):
    """Texts that fill their rows."""
    for rows, t in ((3, 4), (1, 5), (4, 1)):
        yield call("epoch", returns=("inputs", "targets"), tokens=text(rng, rows * t + 1), t=t)


def padded(rng):
    for n, t, ignore in ((12, 4, -100), (7, 5, -1), (3, 6, -100), (10, 3, -7)):
        yield call("epoch", returns=("inputs", "targets"), tokens=text(rng, n), t=t, options={"ignore": ignore})


def unsigned(rng):
    """Tokens come from a file, as numbers of 16 bits without a sign."""
    tokens = text(rng, 14).astype(np.uint16)
    yield call("batch", returns=("inputs", "targets"), tokens=tokens, starts=np.array([3, 0]), t=4)
    yield call("epoch", returns=("inputs", "targets"), tokens=tokens, t=5)


CHECKS = [
    Check("num_starts", "num_starts counts the places where a window fits", numbers),
    Check("short", "a text that is too short has no place for a window", short, after=("num_starts",)),
    Check("batch", "batch cuts the inputs and the tokens one further on", batches),
    Check("epoch", "in an epoch every token but the first is a target exactly once", epochs),
    Check("padded", "the last row is filled up, and what was filled up is ignored", padded, after=("epoch",)),
    Check("unsigned", "tokens of 16 bits without a sign will do", unsigned, after=("batch", "padded")),
]

TOKENS, CUT, FILL = "tokens[places], tokens[places + 1]", "n = len(tokens) - 1", "inputs[:n], targets[:n] = tokens[:-1], tokens[1:]"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("one start too many", "The last input needs a token after it: how many tokens does a window of t inputs take?",
     ("max(0, n - t)", "max(0, n - t + 1)")),
    ("one start too few", "Try a text of t + 1 tokens: at how many places does a window fit?", ("max(0, n - t)", "max(0, n - t - 1)")),
    ("windows that don't overlap counted", "Windows may start at every place, not only at every t-th.", ("max(0, n - t)", "max(0, (n - 1) // t)")),
    ("a negative number of starts", "Can there be fewer than no places?", ("max(0, n - t)", "n - t")),
    ("targets not shifted", "A target is the token that comes next, not the input itself: the model would have nothing to do.",
     (TOKENS, "tokens[places], tokens[places]")),
    ("targets two further on", "The target of an input is its direct neighbour.", (TOKENS, "tokens[places], tokens[places + 2 - len(tokens)]")),
    ("targets before the inputs", "The target is the next token, not the last one.", (TOKENS, "tokens[places + 1], tokens[places]")),
    ("each row's target shifted in a circle", "The last target of a row is the token after the window, not the row's first.",
     (TOKENS, "tokens[places], np.roll(tokens[places], -1, 1)")),
    ("starts counted in windows", "starts are places in the text, not numbers of windows.", ("places = starts[:, None] + np.arange(t)",
            "places = (starts[:, None] * t + np.arange(t)) % (len(tokens) - 1)")),
    ("windows one too long", "Each row has t inputs.", ("np.arange(t)", "np.arange(t + 1) - (starts[:, None] + t + 1 >= len(tokens))")),
    ("rows and columns swapped", "One row for each start: the shape is (b, t).", (TOKENS, "tokens[places].T, tokens[places + 1].T")),
    ("last token never a target", "Every token but the first is a target, the last one too. How many inputs are there?",
     (CUT, "n = len(tokens) - 2"), (FILL, "inputs[:n], targets[:n] = tokens[:-2], tokens[1:-1]")),
    ("last row left out", "What doesn't fill a row is not lost: fill up the row.",
     (FILL, f"{FILL}\n    rows, inputs, targets = n // t, inputs[:n // t * t], targets[:n // t * t]")),
    ("one row too many", "If the inputs fill their rows, nothing is left for another one.", ("rows = -(-n // t)", "rows = n // t + 1")),
    ("padding is a target", "A target that was filled up must be `ignore`: otherwise the model learns to say 0.",
     ("np.full(rows * t, ignore)", "np.zeros(rows * t, np.int64)")),
    ("inputs padded with ignore", "An input is looked up in the embedding: it must be a token, and is 0 where it was filled up.",
     ("np.zeros(rows * t, np.int64)", "np.full(rows * t, ignore)")),
    ("a fixed −100", "What marks a target to leave out is the argument `ignore`; −100 is only its default.",
     ("np.full(rows * t, ignore)", "np.full(rows * t, -100)")),
    ("−100 in numbers without a sign", "A number of 16 bits without a sign can't be −100: what is the dtype of your targets?",
     ("return inputs.reshape(rows, t), targets.reshape(rows, t)",
     "return inputs.reshape(rows, t).astype(tokens.dtype), targets.reshape(rows, t).astype(tokens.dtype)")),
    ("an epoch's targets not shifted", "A target is the token that comes next, not the input itself.",
     (FILL, FILL.replace("tokens[1:]", "tokens[:-1]"))),
    ("first token a target, last one an input", "Inputs are all tokens but the last, targets all but the first.",
     (FILL, FILL.replace("tokens[:-1], tokens[1:]", "tokens[1:], tokens[:-1]"))),
]]
