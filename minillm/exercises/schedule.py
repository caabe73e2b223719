"""What is asked of the cosine schedule, and what goes wrong."""

from ..training import schedule
from .exercise import Check, asked, call, mistake
from .solutions import schedule as plain

FUNCTIONS = {"learning_rate": asked(schedule.learning_rate, without=("kind", "decay"))}


def rates(rng):
    """A peak and an end of order 1, far from each other."""
    return dict(peak=float(rng.uniform(2, 4)), final=float(rng.uniform(0.5, 1)))


def at(step, steps, warmup, rates):
    return call("learning_rate", step=step, steps=steps, **rates, warmup=warmup)


def rising(rng):
    """The first step, one in the middle, the last of the warm-up."""
    for steps, warmup in ((100, 10), (50, 7), (20, 3)):
        for step in (0, warmup // 2, warmup - 1):
            yield at(step, steps, warmup, rates(rng))


def falling(rng):
    for steps, warmup in ((21, 4), (31, 9), (16, 5)):
        for step in (warmup + 2, (warmup + steps) // 2, steps - 3):
            yield at(step, steps, warmup, rates(rng))


def ends(rng):
    """At the peak, and at the very end."""
    for steps, warmup in ((21, 4), (9, 2)):
        for step in (warmup, steps - 1):
            yield at(step, steps, warmup, rates(rng))


def cold(rng):
    """Without any warm-up."""
    for step in (0, 1, 5, 9):
        yield at(step, 10, 0, rates(rng))


def after(rng):
    """Whoever goes on after the last step stays at the end."""
    for step in (20, 21, 30, 57):
        yield at(step, 20, 5, rates(rng))


def short(rng):
    """One step beyond the warm-up, or a single step: the peak, and nothing is divided by 0."""
    yield at(5, 6, 5, rates(rng))
    yield at(0, 1, 0, rates(rng))
    yield at(1, 2, 1, rates(rng))


CHECKS = [
    Check("warmup", "the learning rate rises in equal steps to the peak", rising),
    Check("cosine", "then it falls along a cosine", falling, after=("warmup",)),
    Check("ends", "it begins to fall from the peak, and its last step is exactly the end", ends, after=("cosine",)),
    Check("cold", "there may be no warm-up", cold, after=("ends",)),
    Check("after", "after the last step it stays at the end", after, after=("ends",)),
    Check("short", "a run may be over when the warm-up is", short, after=("ends",), says="If S − 1 = w, the denominator of p would be 0."),
]

UP, SHARE = "peak * (step + 1) / warmup", "(step - warmup) / max(1, steps - 1 - warmup)"
FALL = "final + 0.5 * (peak - final) * (1 + cos(pi * progress))"
MISTAKES = [mistake(name, advice, plain, *edits) for name, advice, *edits in [
    ("the first step is zero", "Step 0 is a step too: with a learning rate of 0 nothing would be learnt from it.", (UP, "peak * step / warmup")),
    ("warm-up one step too long", "The last step of the warm-up, number warmup − 1, has the peak.", (UP, "peak * (step + 1) / (warmup + 1)")),
    ("no warm-up", "What happens in the first `warmup` steps?", ("if step < warmup:", "if False:")),
    ("warm-up from the end", "The warm-up rises from 0, not from the final learning rate.", (UP, "final + (peak - final) * (step + 1) / warmup")),
    ("warm-up along a cosine", "The warm-up is a straight line.", (UP, "peak * 0.5 * (1 - cos(pi * (step + 1) / warmup))")),
    ("warm-up not taken off", "The cosine begins where the warm-up ends: its share of the way is counted from there.",
     (SHARE, "step / max(1, steps - 1)")),
    ("cosine over all the steps", "From the end of the warm-up to the last step there are fewer than `steps` steps.",
     (SHARE, "(step - warmup) / max(1, steps - 1)")),
    ("the end is never reached", "The last step is number steps − 1, and it should be exactly at the end.",
     (SHARE, "(step - warmup) / max(1, steps - warmup)")),
    ("falls to zero", "It falls to `final`, not to 0.", (FALL, "0.5 * peak * (1 + cos(pi * progress))")),
    ("final added on top", "At the beginning of the cosine it should be the peak. What is it?",
     (FALL, "final + 0.5 * peak * (1 + cos(pi * progress))")),
    ("½ forgotten", "1 + cos goes from 2 to 0. What makes that 1 to 0?", (FALL, FALL.replace("0.5 * ", ""))),
    ("½ only once", "What stands between `final` and the peak, times a number from 1 to 0.",
     (FALL, "final + 0.5 * (peak - final) * cos(pi * progress) + peak - final")),
    ("rises instead of falling", "Which sign has the cosine?", (FALL, FALL.replace("1 + cos", "1 - cos"))),
    ("a whole cosine", "Half a period: from cos 0 to cos π.", (FALL, FALL.replace("pi *", "2 * pi *"))),
    ("a quarter of a cosine", "Half a period: from cos 0 = 1 to cos π = −1.", (FALL, "final + (peak - final) * cos(0.5 * pi * progress)")),
    ("degrees", "cos takes radians: half a turn is π.", (FALL, FALL.replace("pi *", "180 *"))),
    ("a straight line", "It falls along a cosine: slowly, then fast, then slowly.", (FALL, "peak + (final - peak) * progress")),
    ("rises again after the end", "The cosine turns around after its end. At what share of the way must it stop?",
     ("min(1.0, (step", "min(99.0, (step")),
]]
