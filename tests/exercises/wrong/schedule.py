"""Wrong schedules, as students write them."""

WRONG = [
    dict(name="step / warmup", fails="warmup", diagnosis="the first step is zero",
         of="cases", edits=[("(step + 1) * (peak / warmup)", "step * (peak / warmup)")]),
    dict(name="(step + 1) / (warmup + 1)", fails="warmup", diagnosis="warm-up one step too long",
         of="numpy", edits=[("np.arange(1, warmup + 1) / max(warmup, 1)", "np.arange(1, warmup + 1) / (warmup + 1)")]),
    dict(name="no warm-up", fails="warmup", diagnosis="no warm-up", source='''
import math

def learning_rate(step, steps, peak, final, warmup):
    part = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    return final + (peak - final) * (1 + math.cos(math.pi * part)) / 2
'''),
    dict(name="warm-up from the final rate", fails="warmup", diagnosis="warm-up from the end",
         of="cases", edits=[("(step + 1) * (peak / warmup)", "final + (step + 1) * (peak - final) / warmup")]),
    dict(name="t / T as on the slide, without t_w", fails="cosine", diagnosis="warm-up not taken off",
         of="cases", edits=[("(step - warmup) / (last - warmup)", "step / last")]),
    dict(name="divided by steps", fails="cosine", diagnosis=None, of="cases", edits=[("(step - warmup) / (last - warmup)", "step / steps")]),
    dict(name="T is the number of steps, not the last one", fails="cosine", diagnosis="the end is never reached",
         of="cases", edits=[("last = steps - 1", "last = steps")]),
    dict(name="down to nothing", fails="cosine", diagnosis="falls to zero",
         of="cases", edits=[("(peak + final) / 2, (peak - final) / 2", "peak / 2, peak / 2")]),
    dict(name="final + half the peak", fails="cosine", diagnosis="final added on top", source='''
import numpy as np

def learning_rate(step, steps, peak, final, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    x = min((step - warmup) / max(steps - 1 - warmup, 1), 1)
    return final + peak * (np.cos(np.pi * x) + 1) / 2
'''),
    dict(name="without the half", fails="cosine", diagnosis="½ forgotten", source='''
import numpy as np

def learning_rate(step, steps, peak, final, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    x = min((step - warmup) / max(steps - 1 - warmup, 1), 1)
    return final + (peak - final) * (np.cos(np.pi * x) + 1)
'''),
    dict(name="1 - cos", fails="cosine", diagnosis="rises instead of falling", of="cases", edits=[("middle + half", "middle - half")]),
    dict(name="degrees", fails="cosine", diagnosis="degrees", of="cases", edits=[("math.cos(math.pi *", "math.cos(180 *")]),
    dict(name="2 pi", fails="cosine", diagnosis="a whole cosine", of="cases", edits=[("math.cos(math.pi *", "math.cos(2 * math.pi *")]),
    dict(name="linear", fails="cosine", diagnosis="a straight line",
         of="numpy", edits=[("np.cos(np.linspace(0, np.pi / 2, down)) ** 2", "np.linspace(1, 0, down)")]),
    dict(name="cos, not its square", fails="cosine", diagnosis="a quarter of a cosine", of="numpy", edits=[("down)) ** 2", "down))")]),
    dict(name="swings up again", fails="after", diagnosis="rises again after the end", of="cases", edits=[("step >= last", "step == last")]),
    dict(name="an error after the end", fails="after", diagnosis=None,
         of="numpy", edits=[("curve[min(step, len(curve) - 1)] if down > 1 or step < len(curve) else final", "curve[step]")]),
    dict(name="zero by zero at the end", fails="short", diagnosis=None, source='''
import math

def learning_rate(step, steps, peak, final, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    part = min(1, (step - warmup) / (steps - 1 - warmup))
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * part))
'''),
    dict(name="divides by the warm-up that isn't there", fails="cold", diagnosis=None,
         of="numpy", edits=[("np.arange(1, warmup + 1) / max(warmup, 1)", "np.arange(1, warmup + 1) * (1 / warmup)")]),
    dict(name="the last step first of all", fails="short", diagnosis=None,
         of="cases", edits=[("    if step == warmup:\n        return peak\n    if step >= last:\n        return final\n",
             "    if step >= last:\n        return final\n")]),
]
