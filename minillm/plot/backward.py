"""The pictures of the lesson on gradients by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import COLOURS, figure
from .matrices import matrix


def matrix_products(b: int, d: int, f: int) -> Any:
    """A linear layer's three products, every matrix as a rectangle whose sides are to scale."""
    from matplotlib.patches import Rectangle
    made, axes = figure(columns=3, width=3.6, height=2.2)
    x, w, y = ("x", b, d, 0), ("w", d, f, 1), ("y", b, f, 2)
    products = (("forward:  y = x · w", (x, w, y)), ("backward:  dx = dy · wᵀ", (("dy", b, f, 2), ("wᵀ", f, d, 1), ("dx", b, d, 0))),
                ("backward:  dw = xᵀ · dy", (("xᵀ", d, b, 0), ("dy", b, f, 2), ("dw", d, f, 1))))
    largest = max(b, d, f)
    widest = max(sum(columns for _, _, columns, _ in parts) for _, parts in products) + 2.4
    for each, (title, parts) in zip(axes, products, strict=True):
        left = 0.0
        for (name, rows, columns, colour), sign in zip(parts, ("·", "=", ""), strict=True):
            each.add_patch(Rectangle((left, -rows / 2), columns, rows, facecolor=COLOURS[colour], alpha=0.35, edgecolor="black"))
            each.text(left + columns / 2, 0, name, ha="center", va="center")
            each.text(left + columns / 2, -rows / 2 - 0.15, f"{rows} × {columns}", ha="center", va="top", fontsize=8)
            each.text(left + columns + 0.45, 0, sign, ha="center", va="center", fontsize=12)
            left += columns + 0.9
        each.set(xlim=(-0.3, widest), ylim=(-largest / 2 - 0.6, largest / 2 + 0.2), aspect="equal", title=title)
        each.title.set_fontsize(10)
        each.axis("off")
    return made


def step_sizes(steps: Sequence[float], errors: Mapping[str, Sequence[float]], chosen: float) -> Any:
    """The relative error of a measured slope, over the size of the step, a curve for each way to measure."""
    made, (axes,) = figure(width=7)
    for name, curve in errors.items():
        axes.plot(steps, curve, ".-", markersize=4, linewidth=1, label=name)
    axes.axvline(chosen, color="black", linewidth=0.8, linestyle="--", label=f"δ = {chosen:g}")
    axes.set(xscale="log", yscale="log", xlabel="step δ", ylabel="relative error of the slope")
    axes.legend(fontsize=8)
    return made


def jacobian(y: Any, slopes: Any) -> Any:
    """Left a row of probabilities, right how each of them moves with each logit."""
    made, (left, right) = figure(columns=2, width=4.6, height=3.6)
    names = [str(i) for i in range(len(y))]
    left.bar(names, y, color=COLOURS[0])
    left.set(xlabel="entry j", ylabel="probability $y_j$")
    drawn = matrix(right, slopes, "$∂y_j/∂x_i$", names, names, signed=True, digits=2)
    right.set(xlabel="entry j of the output", ylabel="entry i of the input")
    made.colorbar(drawn, ax=right, label="slope")
    return made


def claimed_and_measured(cases: Mapping[str, Mapping[str, tuple[Any, Any]]]) -> Any:
    """An axes for each upstream gradient; in it, for each backward, what it claims over what is measured. Right is on the diagonal."""
    made, axes = figure(columns=len(cases), width=4.4, height=3.8)
    largest = 1.1 * max(float(np.abs(numbers).max()) for backwards in cases.values() for pair in backwards.values() for numbers in pair)
    for each, (title, backwards) in zip(axes, cases.items(), strict=True):
        each.plot([-largest, largest], [-largest, largest], color="black", linewidth=0.6)
        for marker, (name, (claimed, measured)) in zip("os^D", backwards.items(), strict=False):
            each.plot(np.ravel(measured), np.ravel(claimed), marker, markersize=6, alpha=0.8, label=name)
        each.set(xlabel="measured slope", ylabel="claimed slope", title=title, xlim=(-largest, largest), ylim=(-largest, largest))
        each.title.set_fontsize(10)
    axes[0].legend(fontsize=8, loc="upper left")
    return made


def surprise(p: Any, gradient: Any, target: int, names: Sequence[str]) -> Any:
    """Left what the model said, right the gradient of the loss for each logit. The target is in another colour."""
    made, axes = figure(columns=2, width=4.6, height=3.2)
    colours = [COLOURS[5 if i == target else 0] for i in range(len(p))]
    for each, heights, label in zip(axes, (p, gradient), ("probability p", "gradient of the logit, p − onehot"), strict=True):
        each.bar_label(each.bar(names, heights, color=colours), fmt="%.2f", fontsize=8, padding=1)
        each.axhline(0, color="black", linewidth=0.8)
        each.margins(y=0.15)
        each.set(xlabel=f"token (orange: the target, {names[target]})", ylabel=label)
    return made


def descent(losses: Mapping[str, Sequence[float]], floor: float, counted: Any, trained: Mapping[str, Any]) -> Any:
    """Left the loss of each run on its way down to what counting reaches; right every probability, trained over counted."""
    made, (left, right) = figure(columns=2, width=4.8, height=3.8)
    for name, curve in losses.items():
        left.plot(range(1, len(curve) + 1), curve, label=name)
    left.axhline(floor, color="black", linewidth=0.8, linestyle="--", label="counted")
    left.set(xlabel="step", ylabel="loss (nats per letter)")
    left.legend(fontsize=8)
    right.plot([0, 1], [0, 1], color="black", linewidth=0.6)
    for marker, (name, probabilities) in zip("ox", trained.items(), strict=False):
        right.plot(np.ravel(counted), np.ravel(probabilities), marker, markersize=3, alpha=0.6, label=name)
    right.set(xlabel="counted p(b | a)", ylabel="trained p(b | a)", aspect="equal")
    right.legend(fontsize=8)
    return made
