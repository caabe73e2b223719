"""What is asked of cross-entropy, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float, Int
from .exercise import Check, Step, Case, call, mistake


def forward(logits: Float[Any, "*rows v"], targets: Int[Any, "*rows"], ignore: int = -100) -> tuple[float | Float[Any, ""], tuple]:
    """(loss, cache): the mean surprise over the rows whose target is not `ignore`; 0 if there is none."""
    x, targets = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    counted = targets != ignore
    n = max(counted.sum(), 1)
    top = x.max(-1, keepdims=True)
    logp = x - top - np.log(np.exp(x - top).sum(-1, keepdims=True))
    columns = np.where(counted, targets, 0)      # an ignored row reads column 0, and the next line throws it away
    nll = np.where(counted, -logp[np.arange(len(x)), columns], 0)
    return nll.sum() / n, (logp, columns, counted, n, logits.shape)


def backward(dloss: float, cache: tuple) -> tuple[Float[Any, "*rows v"]]:
    """(dlogits,): zero in every ignored row."""
    logp, columns, counted, n, shape = cache
    dx = np.exp(logp)
    dx[np.arange(len(dx)), columns] -= 1
    dx = np.where(counted[:, None], dx * dloss / n, 0)
    return (dx.reshape(shape),)


FUNCTIONS = {"forward": forward, "backward": backward}


def inputs(rng, *shape, ignored=0, ignore=-100):
    """`ignored`: so many rows, at random places."""
    *rows, v = shape
    targets = rng.integers(0, v, rows)
    targets.reshape(-1)[rng.permutation(targets.size)[:ignored]] = ignore
    return dict(logits=rng.normal(0, 1.5, shape), targets=targets)


def forwards(rng):
    for shape in ((4, 5), (3, 2), (2, 3, 4), (1, 6)):
        yield call("forward", returns=("loss", "_cache"), **inputs(rng, *shape))


def ignoring(rng):
    for shape, ignored, ignore in (((5, 3), 2, -100), ((2, 4, 3), 3, -100), ((6, 4), 2, -1), ((3, 5), 3, -100)):
        yield call("forward", returns=("loss", "_cache"), options={"ignore": ignore}, **inputs(rng, *shape, ignored=ignored, ignore=ignore))


def large(rng):
    """Logits whose exponential overflows, in float32 too."""
    values = inputs(rng, 4, 5)
    yield call("forward", returns=("loss", "_cache"), **{**values, "logits": values["logits"] + 2000})
    yield call("forward", returns=("loss", "_cache"), **{**values, "logits": (values["logits"] + 200).astype("float32")})


def rare(rng):
    """Targets whose probability is 0 in floating point, and rows of very different height."""
    values = inputs(rng, 4, 5)
    logits = values["logits"] - 5
    logits[np.arange(4), values["targets"]] -= 1500
    yield call("forward", returns=("loss", "_cache"), **{**values, "logits": logits})
    yield call("forward", returns=("loss", "_cache"), **{**values, "logits": values["logits"] - 3000 * np.arange(4)[:, None]})


def then_backward(rng, options=None, times=1, **values):
    """loss, cache = forward(…); gradients = backward(dloss, cache), with a dloss that isn't 1."""
    first = call("forward", returns=("loss", "_cache"), options=options, **values)
    steps = tuple(Step("backward", ("dloss", "_cache"), {}, (f"gradients{'' if i == 0 else i + 1}",)) for i in range(times))
    return Case({**first.values, "dloss": float(rng.uniform(1.5, 3))}, first.steps + steps, tuple(step.results[0] for step in steps))


def backwards(rng, times=1):
    for shape in ((4, 5), (3, 3), (2, 3, 4)):
        yield then_backward(rng, times=times, **inputs(rng, *shape))


def backwards_ignoring(rng):
    for shape, ignored, ignore in (((5, 3), 2, -100), ((2, 3, 4), 2, -100), ((4, 3), 1, -1), ((2, 3), 2, -100)):
        yield then_backward(rng, {"ignore": ignore}, **inputs(rng, *shape, ignored=ignored, ignore=ignore))


CHECKS = [
    Check("forward", "forward returns the mean of −log p(target)", forwards),
    Check("ignored", "rows with the target `ignore` count neither in the sum nor in the number of rows", ignoring, after=("forward",)),
    Check("large", "large logits give a finite and right loss", large, after=("forward",), says="e^x overflows for large x."),
    Check("rare", "a target of vanishing probability gives a finite and right loss", rare, after=("large",),
          says="A probability may be rounded to 0, and log(0) is −∞."),
    Check("backward", "backward returns (dlogits,), times dloss", backwards, after=("forward",)),
    Check("backward_ignored", "ignored rows get no gradient", backwards_ignoring, after=("ignored", "backward")),
    Check("reuse", "backward can be called twice on one cache", lambda rng: backwards(rng, times=2), after=("backward",)),
]

NLL = "np.where(counted, -logp[np.arange(len(x)), columns], 0)"
LSE, PICK = "np.log(np.exp(x - top).sum(-1, keepdims=True))", "dx[np.arange(len(dx)), columns] -= 1"
LAST = "np.where(counted[:, None], dx * dloss / n, 0)"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("sum for mean", "Is the loss the sum over the rows, or their mean?", ("nll.sum() / n", "nll.sum()")),
    ("sign", "log p is negative; a loss should be positive and fall as the model learns.", (NLL, NLL.replace("-logp", "logp"))),
    ("mean over all rows", "By how many rows do you divide: by all, or by those that count?", ("nll.sum() / n", "nll.sum() / len(x)")),
    ("ignored rows counted in the sum", "What does a row with target −100 read? As an index, −100 may even be valid.",
     (NLL, "-logp[np.arange(len(x)), columns]")),
    ("a fixed −100", "The target to leave out is the argument `ignore`; −100 is only its default.",
     ("counted = targets != ignore", "counted = targets != -100"),
     ("np.where(counted, targets, 0)      #", "np.where(counted, targets, 0) % x.shape[-1]      #")),
    ("no rows: zero by zero", "If all rows are ignored, by how much do you divide?", ("n = max(counted.sum(), 1)", "n = counted.sum()")),
    ("one maximum for all rows", "A row far below the largest logit is all zeros after exp. Whose maximum must be subtracted?",
     ("top = x.max(-1, keepdims=True)", "top = x.max()")),
    ("overflow in exp", "e^x overflows for large x. What may be subtracted from a whole row first?",
     ("top = x.max(-1, keepdims=True)", "top = 0 * x.max(-1, keepdims=True)")),
    ("log of a rounded probability", "A probability may be 0 in floating point, and its log −∞. Can you write log(e^a / s) without the exponential?",
     ("logp = x - top - " + LSE, "logp = np.log(np.exp(x - top) / np.exp(x - top).sum(-1, keepdims=True))")),
    ("log of a rounded probability, mended with a small number",
        "log(p + ε) is no −log p where p is tiny. Can you write log(e^a / s) without the exponential?",
     ("logp = x - top - " + LSE, "logp = np.log(np.exp(x - top) / np.exp(x - top).sum(-1, keepdims=True) + 1e-9)")),
    ("normalised over the wrong axis", "The probabilities of each row sum to 1.", (LSE, LSE.replace("-1", "0"))),
    ("logits not normalised", "−x_target is not yet −log p: what of the other logits?", (" - top - " + LSE, "")),
    ("mean over everything", "Only the target's log-probability counts in each row, not all of them.", (NLL, "np.where(counted, -logp.mean(-1), 0)")),
    ("backward without the mean", "forward divided by the number of rows. And backward?", (LAST, LAST.replace(" / n", ""))),
    ("backward divides by all rows", "By how many rows was the sum divided in forward?", (LAST, LAST.replace(" / n", " / len(dx)"))),
    ("backward without dloss", "dlogits is the gradient for an upstream dloss, which need not be 1.", (LAST, LAST.replace("dx * dloss", "dx"))),
    ("one-hot forgotten", "The gradient is p − onehot: what the model said minus what it should have said.", (PICK, "")),
    ("one-hot minus p", "A gradient points uphill: is it p − onehot, or the other way round?", (LAST, LAST.replace("dx *", "-dx *"))),
    ("ignored rows get a gradient", "A row that isn't counted can't change the loss. What is its gradient?", (LAST, "dx * dloss / n")),
]]
