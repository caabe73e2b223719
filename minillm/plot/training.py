"""Two runs of one recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import COLOURS, figure, save

LEAST = 1e-9        # what is closer than this is drawn at the bottom


def two_losses(mine: Sequence[float], reference: Sequence[float], own: Sequence[str], path: str | Path, **options: Any) -> None:
    """Left: both losses over the steps, the reference's as a wide band under the student's thin line. Right: how far apart they are."""
    made, (left, right) = figure(columns=2, height=4.4)
    steps = range(1, len(mine) + 1)
    left.plot(steps, reference, color=COLOURS[4], linewidth=4, alpha=0.6, label="the reference")
    left.plot(steps, mine, color=COLOURS[6], linewidth=0.9, label=f"with your {listed(own)}")
    left.set_ylabel("loss (nats per token)")
    left.set_title("The same recipe, twice", fontsize=10)
    apart = [abs(a - b) for a, b in zip(mine, reference, strict=True)]
    right.plot(steps, [max(each, LEAST) for each in apart], color=COLOURS[0], linewidth=0.9)
    right.set_yscale("log")
    right.set_ylim(LEAST / 2, max(10, *apart))
    told = f"at most {max(apart):.2g}" if any(apart) else "no difference, to the last bit"
    right.text(0.5, 0.95, told, transform=right.transAxes, ha="center", va="top")
    right.set_ylabel("difference of the losses (nats per token)")
    right.set_title("How far apart they are: rounding begins at 1e-7, and training amplifies it", fontsize=10)
    for axes in (left, right):
        axes.set_xlabel("step")
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
    save(made, path, **options)


def listed(words: Sequence[str]) -> str:
    """The names of the operations, in lines that fit under a picture."""
    if not words:
        return "operations: none yet"
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 50:
            lines.append("")
        lines[-1] += f"{word}, "
    return "\n".join(lines)[:-2]
