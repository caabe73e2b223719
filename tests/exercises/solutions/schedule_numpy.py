import numpy as np


def learning_rate(step, steps, peak, final, warmup):
    # the whole curve, then one number of it
    up = peak * np.arange(1, warmup + 1) / max(warmup, 1)
    down = steps - warmup
    if down == 1:
        fall = np.array([peak])
    else:
        fall = final + (peak - final) * np.cos(np.linspace(0, np.pi / 2, down)) ** 2
    curve = np.concatenate([up, fall])
    return curve[min(step, len(curve) - 1)] if down > 1 or step < len(curve) else final
