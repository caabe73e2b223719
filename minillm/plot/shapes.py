"""Pictures of lesson 0: how arrays of unequal shapes meet, and how values and gradients run through a graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import COLOURS, figure


def broadcast(left: Any, right: Any, sign: str = "+") -> Any:
    """Two arrays of at most two axes, and their sum (or product), each as a grid of the result's shape. Filled: what is stored; hatched: the
    copies that broadcasting reads without making them."""
    result = left + right if sign == "+" else left * right
    made, axes = figure(columns=3, width=2.7, height=2.6)
    for array, name, colour, each in zip((left, right, result), ("left", "right", f"left {sign} right"), COLOURS, axes):
        _grid(each, np.asarray(array), np.shape(result), colour)
        each.set_title(f"{name}: {_shape(array)}", fontsize=10)
    return made


def _shape(array: Any) -> str:
    return "(" + ", ".join(map(str, np.shape(array))) + ("," if np.ndim(array) == 1 else "") + ")"


def _grid(axes: Any, array: Any, shape: tuple[int, ...], colour: str) -> None:
    rows, columns = (1, *shape)[-2:]
    values = np.broadcast_to(array, shape).reshape(rows, columns)
    stored_rows, stored_columns = (1, 1, *np.shape(array))[-2:]
    for i in range(rows):
        for j in range(columns):
            stored = i < stored_rows and j < stored_columns
            axes.add_patch(_cell(j, i, colour, stored))
            axes.text(j + 0.5, i + 0.5, f"{values[i, j]:g}", ha="center", va="center", color="black", fontsize=10,
                      fontweight="bold" if stored else "normal")
    axes.set_xlim(-0.1, columns + 0.1)
    axes.set_ylim(rows + 0.1, -0.1)
    axes.set_aspect("equal")
    axes.axis("off")


def _cell(x: float, y: float, colour: str, stored: bool) -> Any:
    from matplotlib.patches import Rectangle
    if stored:
        return Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, facecolor=colour, alpha=0.45, edgecolor=colour, linewidth=1.5)
    return Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, facecolor="none", alpha=0.6, edgecolor=colour, linewidth=0.8, hatch="///")


def graph(nodes: Mapping[str, tuple[float, float, float, float]], edges: Sequence[tuple[str, str, str, float]]) -> Any:
    """A computation. nodes: {label: (x, y, value, gradient)}; edges: (from, to, the slope of this step in symbols, the gradient that runs
    back over it). A node's gradient is the sum of what comes back over its outgoing edges."""
    made, (axes,) = figure(width=8.8, height=3.6)
    forwards, backwards = COLOURS[0], COLOURS[5]
    drawn = {label: axes.text(x, y, label, ha="center", va="center", fontsize=11, bbox=dict(boxstyle="round,pad=0.45", facecolor="white"))
             for label, (x, y, *_) in nodes.items()}
    note = dict(textcoords="offset points", ha="center", fontsize=10, bbox=dict(facecolor="white", edgecolor="none", pad=0.5))
    for start, end, slope, flow in edges:
        (x0, y0, *_), (x1, y1, *_) = nodes[start], nodes[end]
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=dict(arrowstyle="-|>", color="0.35", linewidth=1.4, shrinkA=2, shrinkB=2,
                      patchA=drawn[start].get_bbox_patch(), patchB=drawn[end].get_bbox_patch()))
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        axes.annotate(slope, middle, (0, 4), va="bottom", color="0.25", **note)
        axes.annotate(_signed(flow), middle, (0, -4), va="top", color=backwards, **note)
    for x, y, value, gradient in nodes.values():
        axes.annotate(f"{value:.4g}", (x, y), (0, 18), va="bottom", color=forwards, **note)
        axes.annotate(_signed(gradient), (x, y), (0, -18), va="top", color=backwards, fontweight="bold", **note)
    xs, ys = [x for x, *_ in nodes.values()], [y for _, y, *_ in nodes.values()]
    axes.set_xlim(min(xs) - 0.5, max(xs) + 0.5)
    axes.set_ylim(min(ys) - 0.4, max(ys) + 0.35)
    axes.plot([], [], color=forwards, label="above a box: its value, computed from left to right")
    axes.plot([], [], color=backwards, label="below: the gradient that comes back, from right to left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2, fontsize=9, frameon=False)
    axes.axis("off")
    return made


def _signed(number: float) -> str:
    return f"{number:+.4g}".replace("-", "−")
