from math import cos, pi


def learning_rate(step: int, steps: int, peak: float, final: float, warmup: int) -> float:
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    return final + 0.5 * (peak - final) * (1 + cos(pi * progress))
