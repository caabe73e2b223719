"""Training runs side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import COLOURS, figure

def runs(panels: Mapping[str, Mapping[str, Any]], floors: Mapping[str, float] | None = None, unit: str = "token", window: int = 5) -> Any:
    """An axes a panel; in it the losses of its runs, over the step: the mean of `window` steps, and thinly each single one. A name may have
    one run, or a list of them, which share a colour. floors: levels to compare with, drawn in every panel."""
    made, axes = figure(columns=len(panels), width=7.0 if len(panels) == 1 else 4.8, height=3.6)
    for each, (title, curves) in zip(axes, panels.items(), strict=True):
        for colour, (name, several) in zip(COLOURS, curves.items(), strict=False):
            for number, losses in enumerate(several if np.ndim(several[0]) else [several]):
                steps = np.arange(1, len(losses) + 1)
                each.plot(steps, losses, color=colour, linewidth=0.5, alpha=0.3)
                each.plot(steps, smooth(losses, window), color=colour, linewidth=1.6, label=None if number else name)
        for style, (name, level) in zip(("--", ":", "-."), (floors or {}).items(), strict=False):
            each.axhline(level, color="black", linewidth=0.8, linestyle=style, label=name)
        each.set(xlabel="step", ylabel=f"loss (nats per {unit})", title=title)
        each.title.set_fontsize(10)
        each.legend(fontsize=8)
    return made


def smooth(losses: Sequence[float], window: int) -> Any:
    """The mean of each loss and of those up to window − 1 steps before it."""
    sums = np.cumsum(np.concatenate([[0.0], losses]))
    last = np.arange(1, len(losses) + 1)
    first = np.maximum(last - window, 0)
    return (sums[last] - sums[first]) / (last - first)
