"""What is asked of RMSNorm, and what goes wrong."""

from ..ops import rmsnorm
from .exercise import Check, backward, forward, mistake

FUNCTIONS = {"forward": rmsnorm.forward, "backward": rmsnorm.backward}


def inputs(rng, *shape):
    """O(1) numbers with a mean that is not 0, so that a mean is no mean square; ε large enough to be seen."""
    return dict(x=rng.normal(0.5, 1.5, shape), w=rng.normal(1, 0.5, shape[-1])), {"eps": float(rng.uniform(0.1, 0.5))}


def forwards(rng):
    for shape in ((8,), (3, 5), (2, 3, 6), (4, 1)):
        values, options = inputs(rng, *shape)
        yield forward(**values, options=options)


def extremes(rng):
    """Rows of zeros stay zeros; large rows, and tiny ones that ε rules, in float32."""
    values, options = inputs(rng, 3, 4)
    yield forward(**{**values, "x": values["x"] * 0}, options=options)
    for size in (1e4, 1e-4):
        yield forward(x=(values["x"] * size).astype("float32"), w=values["w"].astype("float32"))


def backwards(rng, times=1):
    for shape in ((7,), (3, 5), (2, 3, 6)):
        values, options = inputs(rng, *shape)
        yield backward(rng.normal(size=shape), **values, options=options, times=times)


CHECKS = [
    Check("forward", "forward divides each row by its root mean square and scales each channel", forwards),
    Check("extremes", "rows of zeros and of large numbers come out finite and right", extremes, after=("forward",)),
    Check("backward", "backward returns dx and dw", backwards, after=("forward",)),
    Check("reuse", "backward can be called twice on one cache", lambda rng: backwards(rng, times=2), after=("backward",)),
]

MEAN_SQUARE, COUPLING = "(x_ * x_).mean(-1, keepdims=True)", "(r * r * (g * x_).mean(-1, keepdims=True))"
DX, DW = f"dx = r * (g - x_ * {COUPLING})", "rows_of(dy * x_ * r).sum(0)"
MISTAKES = [mistake(name, advice, rmsnorm, *edits) for name, advice, *edits in [
    ("ε outside the root", "Is ε added before the square root is taken?",
     (f"xp(x).sqrt({MEAN_SQUARE} + eps)", f"(xp(x).sqrt({MEAN_SQUARE}) + eps)")),
    ("ε forgotten", "Where is ε? It belongs under the root, beside the mean of the squares.", (f"{MEAN_SQUARE} + eps", MEAN_SQUARE)),
    ("mean for mean square", "Do you square x before you take its mean?", (MEAN_SQUARE, "x_.mean(-1, keepdims=True) ** 2")),
    ("sum for mean", "Is it the mean of the squares, or their sum?", (MEAN_SQUARE, "(x_ * x_).sum(-1, keepdims=True)")),
    ("no root", "Rows are divided by the root of the mean square, not by the mean square.",
     (f"1 / xp(x).sqrt({MEAN_SQUARE} + eps)", f"1 / ({MEAN_SQUARE} + eps)")),
    ("mean subtracted", "RMSNorm leaves the mean where it is: that is what it has over LayerNorm.",
     ("x_ = wide(x)\n    r", "x_ = x - x.mean(-1, keepdims=True)\n    r")),
    ("multiplied by the root", "Rows are divided by their root mean square.",
     (f"1 / xp(x).sqrt({MEAN_SQUARE} + eps)", f"xp(x).sqrt({MEAN_SQUARE} + eps)")),
    ("normed over the wrong axis", "Each row is divided by its own root mean square: which axis holds a row?",
     (MEAN_SQUARE, "(x_ * x_).mean(0, keepdims=True)")),
    ("normed over the whole array", "Every row has a root mean square of its own.", (MEAN_SQUARE, "(x_ * x_).mean(keepdims=True)")),
    ("scale forgotten", "Each channel is scaled by w.", ("x_ * r * wide(w)", "x_ * r")),
    ("r taken as a constant", "x reaches y on two ways: directly, and through r. Did you differentiate r, too?", (DX, "dx = r * g")),
    ("the coupling's sign", "∂r/∂x is negative: longer rows are divided by more.", (DX, DX.replace("(g - x_", "(g + x_"))),
    ("sum for mean in dx", "∂r/∂x_i has 1/d in it, from the mean of the squares.", (COUPLING, COUPLING.replace("mean", "sum"))),
    ("r² missing in dx", "∂r/∂x_i = −r³ x_i / d: one r stands before the bracket, two are left inside.",
     (COUPLING, COUPLING.replace("r * r * ", ""))),
    ("x for the normed x in dw", "w multiplies x · r, so that is what dw is made of.", (DW, "rows_of(dy * x_).sum(0)")),
    ("scale forgotten in backward", "dx needs w · dy where you have dy alone.", ("g = dy * wide(w)", "g = dy")),
    ("mean for sum in dw", "Every row used w: dw is the sum over the rows, not the mean.", (DW, "rows_of(dy * x_ * r).mean(0)")),
]]
