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
    """Rows of zeros stay zeros; large rows don't overflow in float32."""
    values, options = inputs(rng, 3, 4)
    yield forward(**{**values, "x": values["x"] * 0}, options=options)
    yield forward(x=(values["x"] * 1e4).astype("float32"), w=values["w"].astype("float32"))


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

MISTAKES = [
    mistake("ε outside the root", "Is ε added before the square root is taken?", rmsnorm,
            ("xp(x).sqrt((x_ * x_).mean(-1, keepdims=True) + eps)", "(xp(x).sqrt((x_ * x_).mean(-1, keepdims=True)) + eps)")),
    mistake("mean for mean square", "Do you square x before you take its mean?", rmsnorm, ("(x_ * x_).mean(-1, keepdims=True)", "x_.mean(-1, keepdims=True) ** 2")),
    mistake("sum for mean", "Is it the mean of the squares, or their sum?", rmsnorm, ("(x_ * x_).mean(-1,", "(x_ * x_).sum(-1,")),
    mistake("r taken as a constant", "x reaches y on two ways: directly, and through r. Did you differentiate r, too?", rmsnorm,
            ("dx = r * (g - x_ * (r * r * (g * x_).mean(-1, keepdims=True)))", "dx = r * g")),
    mistake("scale forgotten in backward", "dx needs w · dy where you have dy alone.", rmsnorm, ("g = dy * wide(w)", "g = dy")),
]
