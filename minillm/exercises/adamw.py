"""What is asked of AdamW, and what goes wrong."""

import numpy as np

from ..arrays import Any, Float
from .exercise import Case, Check, Step, call, mistake


def adamw(p: Float[Any, "*shape"], g: Float[Any, "*shape"], m: Float[Any, "*shape"], v: Float[Any, "*shape"], step: int, lr: float,
          beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.01
          ) -> tuple[Float[Any, "*shape"], Float[Any, "*shape"], Float[Any, "*shape"]]:
    """(p, m, v) after step number `step`, counted from 1: new arrays."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    p = p - lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * p)
    return p, m, v


FUNCTIONS = {"adamw": adamw}
RETURNS = ("p_new", "m_new", "v_new")


def options(rng, step, decay):
    """Betas far from 1, a large ε and a large decay: each of them is seen."""
    return dict(step=step, lr=float(rng.uniform(0.1, 0.5)), beta1=float(rng.uniform(0.5, 0.7)), beta2=float(rng.uniform(0.8, 0.9)),
                eps=float(rng.uniform(0.2, 0.5)), weight_decay=float(rng.uniform(0.2, 0.6)) if decay else 0.0)


def arrays(rng, shape, step):
    """m and v as they are after so many steps: zero at first, and v never below zero."""
    started = step > 1
    return dict(p=rng.normal(0.5, 1, shape), g=rng.normal(0.3, 1.5, shape), m=rng.normal(0, 1, shape) * started, v=rng.uniform(0.1, 2,
        shape) * started)


def updates(steps, decay):
    def draw(rng):
        for shape, step in zip(((5,), (2, 3), (4,)), steps):
            yield call("adamw", returns=RETURNS, **arrays(rng, shape, step), options=options(rng, step, decay))
    return draw


def defaults(rng):
    """With no more than the learning rate given."""
    yield call("adamw", returns=RETURNS, **arrays(rng, (6,), 3), options={"step": 3, "lr": 0.5})


def zeros(rng):
    """A gradient that is zero, and has always been."""
    yield call("adamw", returns=RETURNS, p=rng.normal(size=4), g=np.zeros(4), m=np.zeros(4), v=np.zeros(4), options={"step": 1, "lr": 0.3,
        "weight_decay": 0.5})


def several(rng):
    """Three steps, each with what the one before returned."""
    first = call("adamw", returns=("p1", "m1", "v1"), **arrays(rng, (2, 3), 1), options=options(rng, 1, True))
    values, steps = dict(first.values), list(first.steps)
    for i in (2, 3):
        values |= {f"g{i}": rng.normal(0.3, 1.5, (2, 3)), f"step{i}": i}
        steps.append(Step("adamw", (f"p{i - 1}", f"g{i}", f"m{i - 1}", f"v{i - 1}"), {**steps[0].options, "step": f"step{i}"}, (f"p{i}", f"m{i}",
            f"v{i}")))
    yield Case(values, tuple(steps), ("p3", "m3", "v3"))


CHECKS = [
    Check("first", "the first step is right, without weight decay", updates((1, 1, 1), False)),
    Check("later", "so are later ones, where m and v have a past", updates((2, 3, 7), False), after=("first",)),
    Check("decay", "weight decay is decoupled: it shrinks p, and enters neither m nor v", updates((1, 4, 2), True), after=("later",)),
    Check("defaults", "the usual settings are the defaults", defaults, after=("decay",)),
    Check("zeros", "where the gradient is zero only the decay moves p", zeros, after=("decay",)),
    Check("several", "three steps in a row are right", several, after=("decay",)),
]

M, V, M_HAT, V_HAT = "m = beta1 * m + (1 - beta1) * g", "v = beta2 * v + (1 - beta2) * g**2", "m / (1 - beta1**step)", "v / (1 - beta2**step)"
P, ROOT = "p = p - lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * p)", "(np.sqrt(v_hat) + eps)"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("forgotten bias correction", "m and v begin at 0, so at first they are too small. By what are they divided?", (M_HAT, "m"), (V_HAT, "v")),
    ("bias correction of m forgotten", "m begins at 0 as v does: is it corrected too?", (M_HAT, "m")),
    ("bias correction of v forgotten", "v begins at 0 as m does: is it corrected too?", (V_HAT, "v")),
    ("corrected m and v kept", "The bias is corrected for the update alone: the m and v that you return go on as they are.",
     ("return p, m, v", "return p, m_hat, v_hat")),
    ("steps counted from 0", "The first step is step 1: what power of β is there?",
     (M_HAT, "m / (1 - beta1**(step + 1))"), (V_HAT, "v / (1 - beta2**(step + 1))")),
    ("one step too few in the correction", "In the first step 1 − β¹ is what m is divided by: with a power less it would be 0.",
     (M_HAT, "m / (1 - beta1**(step - 1))"), (V_HAT, "v / (1 - beta2**(step - 1))")),
    ("β times the step", "After s steps the first gradient has been multiplied by β s times: that is a power.",
     (M_HAT, "m / (1 - beta1 * step)"), (V_HAT, "v / (1 - beta2 * step)")),
    ("correction of v outside the root", "v is divided by 1 − βˢ before its root is taken.",
     (V_HAT, "v"), (ROOT, "(np.sqrt(v_hat) / (1 - beta2**step) + eps)")),
    ("ε before the correction", "ε is added to the root of the corrected v.",
     (V_HAT, "v"), (ROOT, "((np.sqrt(v_hat) + eps) / np.sqrt(1 - beta2**step))")),
    ("power of the step forgotten", "1 − β corrects the first step only. How much weight have m's gradients after s steps?",
     (M_HAT, "m / (1 - beta1)"), (V_HAT, "v / (1 - beta2)")),
    ("ε inside the root", "ε is added to the root, not under it.", (ROOT, "np.sqrt(v_hat + eps)")),
    ("ε forgotten", "Where is ε?", (ROOT, "np.sqrt(v_hat)")),
    ("root forgotten", "m is divided by the root of v: the two have different units.", (ROOT, "(v_hat + eps)")),
    ("v averages g, not g²", "v is an average of squares.", (V, V.replace("g**2", "g"))),
    ("betas swapped", "β₁ belongs to m, β₂ to v.",
     (M, M.replace("beta1", "beta2")), (V, V.replace("beta2", "beta1")), (M_HAT, "m / (1 - beta2**step)"), (V_HAT, "v / (1 - beta1**step)")),
    ("β and 1 − β swapped", "An average that changes slowly keeps the share β of what it was.",
     (M, "m = (1 - beta1) * m + beta1 * g"), (V, "v = (1 - beta2) * v + beta2 * g**2")),
    ("sum for average", "m is an average: the new gradient has the weight 1 − β.", (M, "m = beta1 * m + g"), (V, "v = beta2 * v + g**2")),
    ("g for m", "The step goes along the average gradient m, not along the last one.", (M_HAT, "g")),
    ("the old m and v in the update", "m and v are brought up to date first, and then used.", (M, f"old_m, old_v = m, v\n    {M}"),
     (M_HAT, "old_m / (1 - beta1**step)"), (V_HAT, "old_v / (1 - beta2**step)")),
    ("sign", "Downhill is against the gradient.", (P, P.replace("p - lr", "p + lr"))),
    ("learning rate forgotten", "By what is the step multiplied?", (P, P.replace("lr * ", ""))),
    ("weight decay forgotten", "What does weight_decay do to p?", (P, P.replace(" + weight_decay * p", ""))),
    ("decay added to the gradient", "That is Adam with an L2 penalty. In AdamW the decay goes past m and v, straight to p.",
     (M, f"g = g + weight_decay * p\n    {M}"), (P, P.replace(" + weight_decay * p", ""))),
    ("decay without the learning rate", "p shrinks by lr · weight_decay of itself.",
     (P, "p = p - lr * m_hat / (np.sqrt(v_hat) + eps) - weight_decay * p")),
    ("decay after the step", "The decay is a share of p as it was, before the step.",
     (P, "p = p - lr * m_hat / (np.sqrt(v_hat) + eps)\n    p = p - lr * weight_decay * p")),
    ("decay grows p", "Decay makes p smaller: which sign has it?", (P, P.replace("+ weight_decay", "- weight_decay"))),
    ("m and v swapped", "The order is (p, m, v).", ("return p, m, v", "return p, v, m")),
]]
