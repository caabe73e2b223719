"""What is asked of LayerNorm, and what goes wrong."""

from ..ops import layernorm
from .exercise import Check, backward, forward, mistake

FUNCTIONS = {"forward": layernorm.forward, "backward": layernorm.backward}


def inputs(rng, *shape):
    """Rows whose mean is not 0 and whose size is not 1; ε large enough to be seen."""
    d = shape[-1]
    return dict(x=rng.normal(0.7, 1.5, shape), w=rng.normal(1, 0.5, d), b=rng.normal(size=d)), {"eps": float(rng.uniform(0.1, 0.5))}


def without_shift(rng, *shape):
    values, options = inputs(rng, *shape)
    return {**values, "b": None}, options


def forwards(rng):
    for shape in ((8,), (3, 5), (2, 3, 6), (4, 4)):
        values, options = inputs(rng, *shape)
        yield forward(**values, options=options)


def extremes(rng):
    """Rows of equal numbers give b, and so does a single channel."""
    values, options = inputs(rng, 3, 4)
    yield forward(**{**values, "x": values["x"] * 0 + 3}, options=options)
    yield forward(**inputs(rng, 3, 1)[0], options=options)


def large_means(rng):
    """In float32, where mean(x²) − μ² would have 3 digits left."""
    for size in (300, -300):
        values, options = inputs(rng, 4, 16)
        values["x"] += size
        yield forward(**{name: value.astype("float32") for name, value in values.items()}, options=options)


def backwards(rng, made=inputs, times=1):
    for shape in ((7,), (3, 5), (2, 3, 6)):
        values, options = made(rng, *shape)
        yield backward(rng.normal(size=shape), **values, options=options, times=times)


def shiftless(rng):
    for shape in ((3, 5), (2, 3, 6)):
        values, options = without_shift(rng, *shape)
        yield forward(**values, options=options)
        yield backward(rng.normal(size=shape), **values, options=options)


CHECKS = [
    Check("forward", "forward gives each row mean 0 and standard deviation 1, then scales and shifts each channel", forwards),
    Check("extremes", "rows of equal numbers and a single channel come out finite and right", extremes, after=("forward",)),
    Check("large_mean", "a large mean doesn't hide the variance, in float32", large_means, after=("forward",),
          says="mean(x²) − μ² loses its digits when the mean is large: subtract the mean first, then square."),
    Check("backward", "backward returns dx, dw and db", backwards, after=("forward",)),
    Check("without_shift", "b may be None: nothing is added, and db is None", shiftless, after=("backward",)),
    Check("reuse", "backward can be called twice on one cache", lambda rng: backwards(rng, times=2), after=("backward",)),
]

VARIANCE, DX = "(centred * centred).mean(-1, keepdims=True)", "dx = r * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True))"
MISTAKES = [mistake(name, advice, layernorm, *edits) for name, advice, *edits in [
    ("ε outside the root", "Is ε added before the square root is taken?",
     (f"xp(x).sqrt({VARIANCE} + eps)", f"(xp(x).sqrt({VARIANCE}) + eps)")),
    ("ε forgotten", "Where is ε? It belongs under the root, beside the variance.", (f"{VARIANCE} + eps", VARIANCE)),
    ("variance with n − 1", "The variance here is the mean of the squares: divided by d, not by d − 1.",
     (VARIANCE, "((centred * centred).sum(-1, keepdims=True) / (x.shape[-1] - 1))")),
    ("divided by the variance", "Rows are divided by the standard deviation, which is the root of the variance.",
     (f"1 / xp(x).sqrt({VARIANCE} + eps)", f"1 / ({VARIANCE} + eps)")),
    ("mean not subtracted", "Is the mean subtracted? Without that it is RMSNorm.",
     ("mean = x_.mean(-1, keepdims=True)", "mean = 0 * x_.mean(-1, keepdims=True)")),
    ("root mean square for standard deviation", "The squares are those of x − μ, not of x.", (VARIANCE, "(x_ * x_).mean(-1, keepdims=True)")),
    ("normed over the wrong axis", "Each row is normed by its own mean and variance: which axis holds a row?",
     ("mean = x_.mean(-1, keepdims=True)", "mean = x_.mean(0, keepdims=True)"), (VARIANCE, "(centred * centred).mean(0, keepdims=True)")),
    ("normed over the whole array", "Every row has a mean and a variance of its own.",
     ("mean = x_.mean(-1, keepdims=True)", "mean = x_.mean(keepdims=True)"), (VARIANCE, "(centred * centred).mean(keepdims=True)")),
    ("shift before scale", "First times w, then plus b: b is not multiplied by w.", ("        y += wide(b)", "        y += wide(b) * wide(w)")),
    ("μ and r taken as constants", "x reaches y on three ways: directly, through the mean, and through r.", (DX, "dx = r * g")),
    ("μ taken as a constant", "x also reaches y through the mean: what does that add to dx?", (DX, DX.replace(" - g.mean(-1, keepdims=True)", ""))),
    ("r taken as a constant", "x also reaches y through r: what does that add to dx?",
     (DX, DX.replace(" - n * (g * n).mean(-1, keepdims=True)", ""))),
    ("scale forgotten in backward", "dx needs w · dy where you have dy alone.", ("g = dy * wide(w)", "g = dy")),
    ("dw from x, not from n", "w multiplies the normed numbers, so they are what dw is made of.",
     ("rows_of(dy * n).sum(0)", "rows_of(dy * wide(x)).sum(0)")),
    ("db scaled by w", "b is added after the scaling, so w plays no part in db.", ("rows_of(dy).sum(0)", "rows_of(g).sum(0)")),
    ("mean for sum in dw and db", "Every row used w and b: their gradients are sums over the rows, not means.",
     ("rows_of(dy * n).sum(0)", "rows_of(dy * n).mean(0)"), ("rows_of(dy).sum(0)", "rows_of(dy).mean(0)")),
]]
