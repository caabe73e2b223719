"""Matrices as pictures: what the lessons on gradients and attention show most often."""

from collections.abc import Sequence
from typing import Any

import numpy as np

SHARES = "cividis"          # from 0 up: dark to light
SIGNED = "RdBu_r"           # around 0: blue is below, red above; both safe for colour-blind readers


def matrix(axes: Any, values: Any, title: str = "", rows: Sequence[str] | None = None, columns: Sequence[str] | None = None,
           signed: bool = False, limit: float | None = None, digits: int | None = None) -> Any:
    """One matrix, a coloured cell for each number, which stands in it with `digits` decimals if given. Signed colours are centred on 0.
    `limit`: the number that gets the strongest colour; by default the largest. Returns what a colour bar needs."""
    values = np.asarray(values, float)
    limit = limit or max(float(np.abs(values).max()), 1e-12)
    drawn = axes.imshow(values, cmap=SIGNED if signed else SHARES, vmin=-limit if signed else 0, vmax=limit, aspect="equal")
    axes.grid(False)
    axes.set_title(title, fontsize=10)
    for names, ticks in ((rows, axes.set_yticks), (columns, axes.set_xticks)):
        if names is None:
            ticks([])
        else:
            ticks(range(len(names)), names, fontsize=8)
    if digits is not None:
        for (i, j), value in np.ndenumerate(values):
            dark = abs(value) > 0.6 * limit if signed else value < 0.6 * limit
            axes.text(j, i, f"{round(value, digits) + 0.0:.{digits}f}", ha="center", va="center", fontsize=8,
                      color="white" if dark else "black")
    return drawn
