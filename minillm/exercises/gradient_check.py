"""What is asked of a gradient check, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float
from .exercise import Check, call, mistake


def slopes(op: Any, x: Float[Any, "*shape"], dy: Float[Any, "*shape"], step: float = 1e-5) -> Float[Any, "*shape"]:
    """The gradient of Σ dy · op.forward(x)[0] with respect to x, measured by central differences: of x's shape."""
    x = x.copy()
    measured = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        before = x[index]
        x[index] = before + step
        up = (dy * op.forward(x)[0]).sum()
        x[index] = before - step
        down = (dy * op.forward(x)[0]).sum()
        x[index] = before
        measured[index] = (up - down) / (2 * step)
    return measured


def relative_error(claimed: Float[Any, "*shape"], measured: Float[Any, "*shape"]) -> float:
    """‖claimed − measured‖ over the larger of the two norms; 0 if both are zero."""
    largest = max(np.sqrt((claimed * claimed).sum()), np.sqrt((measured * measured).sum()))
    difference = claimed - measured
    return np.sqrt((difference * difference).sum()) / largest if largest > 0 else 0.0


FUNCTIONS = {"slopes": slopes, "relative_error": relative_error}

# Operations to differentiate. The step is large, so that a difference to one side is seen to be another formula.
CURVED = """
import numpy as np
def forward(x):
    return x**3 + np.exp(x / 2), None
"""
COUPLED = """
import numpy as np
def forward(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) * np.cumsum(x, -1), None
"""
WOUND = """
import numpy as np
def forward(x):
    return (x - 2) * np.roll(x, 1, -1) ** 2 + x.sum(-1, keepdims=True) ** 3 / 10, None
"""


def cases(operation, *shapes):
    def draw(rng):
        for shape in shapes:
            yield call("slopes", op=None, x=rng.normal(0.5, 1, shape), dy=rng.normal(size=shape), options={"step": float(rng.uniform(0.1, 0.3))},
                       provided={"op": operation})
    return draw


def errors(rng):
    """The second differs by a factor that depends on the place, and is larger or smaller as a whole."""
    for shape, scale in (((5,), 2.0), ((3, 4), 0.3), ((2, 3, 2), 1.0), ((1,), 0.5)):
        claimed = rng.normal(size=shape)
        yield call("relative_error", claimed=claimed, measured=scale * claimed + rng.normal(0, 0.5, shape))


def zeros(rng):
    x = rng.normal(size=(3, 2))
    yield call("relative_error", claimed=np.zeros((2, 3)), measured=np.zeros((2, 3)))
    yield call("relative_error", claimed=np.zeros((3, 2)), measured=x)
    yield call("relative_error", claimed=x, measured=np.zeros((3, 2)))
    yield call("relative_error", claimed=x, measured=x)


CHECKS = [
    Check("slopes", "slopes measures the gradient of a function of each number alone", cases(CURVED, (5,), (2, 3))),
    Check("coupled", "slopes is right where every output depends on all numbers of its row", cases(COUPLED, (4,), (2, 3),
    (3, 1, 2)), after=("slopes",)),
    Check("put_back", "every number is back in its place when the next one is moved", cases(WOUND, (4,), (3, 3)), after=("slopes",)),
    Check("relative_error", "relative_error compares two gradients by their norms", errors),
    Check("zeros", "relative_error is right where a gradient is zero", zeros, after=("relative_error",)),
]

UP, DOWN = "up = (dy * op.forward(x)[0]).sum()", "down = (dy * op.forward(x)[0]).sum()"
LARGEST = "max(np.sqrt((claimed * claimed).sum()), np.sqrt((measured * measured).sum()))"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("difference to one side", "The function is asked at x + δ and at x − δ: where is your second point?",
     ("x[index] = before - step", "x[index] = before"), ("(2 * step)", "step")),
    ("divided by δ, not 2δ", "How far apart are the two points at which you ask the function?", ("(2 * step)", "step")),
    ("not divided by the step", "You have a difference. What turns it into a slope?", (" / (2 * step)", "")),
    ("upstream forgotten", "The number to differentiate is Σ dy · y, not Σ y.", (UP, UP.replace("dy * ", "")), (DOWN, DOWN.replace("dy * ", ""))),
    ("sign", "Which of the two comes first in the difference: f(x + δ) or f(x − δ)?", ("up - down", "down - up")),
    ("numbers not put back", "After a number was moved and measured: what is it when the next one is moved?",
     ("        x[index] = before\n        measured", "        measured")),
    ("all numbers moved at once", "Each entry of the gradient is a slope along one number, all others held still. How many do you move?",
     ("x[index] = before + step", "x += step"), ("x[index] = before - step", "x -= 2 * step"),
     ("        x[index] = before\n", "        x += step\n")),
    ("each output only by its own input", "One number of x may change many outputs: dy · y is summed over all of them.",
     (UP, "up = (dy * op.forward(x)[0])[index]"), (DOWN, "down = (dy * op.forward(x)[0])[index]")),
    ("divided by the sum of the norms", "‖claimed − measured‖ is divided by the larger norm. By what do you divide?",
     (LARGEST, LARGEST.replace("max(", "sum((", 1) + ")")),
    ("divided by the claimed norm", "If the claimed gradient is much too small, its norm is no measure: divide by the larger of the two.",
     (LARGEST, "np.sqrt((claimed * claimed).sum())")),
    ("divided by the measured norm", "Divide by the larger of the two norms, whichever that is.", (LARGEST, "np.sqrt((measured * measured).sum())")),
    ("largest entry for norm", "The norm of a tensor takes all its numbers: the root of the sum of their squares.",
     (LARGEST, "max(abs(claimed).max(), abs(measured).max())"), ("np.sqrt((difference * difference).sum())", "abs(difference).max()")),
    ("entry by entry", "Small entries have large relative errors that mean nothing: one norm for the whole tensor.",
     ("return np.sqrt((difference * difference).sum()) / largest",
     "return (abs(difference) / np.maximum(1e-300, np.maximum(abs(claimed), abs(measured)))).max()")),
    ("root forgotten", "A norm is the root of a sum of squares.",
     (LARGEST, LARGEST.replace("np.sqrt", "")), ("np.sqrt((difference * difference).sum())", "(difference * difference).sum()")),
    ("difference of the norms",
        "Two gradients of the same length may point in different directions: take the norm of the difference, not the difference of the norms.",
     ("np.sqrt((difference * difference).sum())", "abs(np.sqrt((claimed * claimed).sum()) - np.sqrt((measured * measured).sum()))")),
    ("zero by zero", "What do you return when both gradients are zero?", (" if largest > 0 else 0.0", "")),
]]
