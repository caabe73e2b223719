import math


def learning_rate(step, steps, peak, final, warmup):
    last = steps - 1
    if warmup > 0 and step <= warmup - 1:
        return (step + 1) * (peak / warmup)
    if step == warmup:
        return peak
    if step >= last:
        return final
    middle, half = (peak + final) / 2, (peak - final) / 2
    return middle + half * math.cos(math.pi * (step - warmup) / (last - warmup))
