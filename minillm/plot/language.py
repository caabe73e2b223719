"""Pictures of lesson 1: what follows what, where a text is surprising, and what a longer memory is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import COLOURS, figure, grouped_bars

VISIBLE = {" ": "␣", "\n": "⏎"}


def visible(characters: Sequence[str]) -> list[str]:
    return [VISIBLE.get(character, character) for character in characters]


def following(probabilities: Any, names: Sequence[str]) -> Any:
    """probabilities[i, j]: that names[j] follows names[i], as a map of colours."""
    made, (axes,) = figure(width=6.8, height=6.0)
    image = axes.imshow(np.asarray(probabilities), cmap="cividis", vmin=0, vmax=1)
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(names)), visible(names), fontsize=8, fontfamily="monospace")
    axes.grid(False)
    axes.set_xlabel("next character (␣: a space, ⏎: a new line, ¶: the end of a tale)")
    axes.set_ylabel("last character")
    made.colorbar(image, ax=axes, shrink=0.8, label="probability")
    return made


def choices(table: Mapping[str, Mapping[str, float]], xlabel: str) -> Any:
    """A group of bars for each possible next token, in it one bar for each row of the table: probabilities, in percent."""
    made, (axes,) = figure(width=7.2, height=3.4)
    grouped_bars(axes, {row: {name: 100 * p for name, p in entries.items()} for row, entries in table.items()})
    axes.tick_params("x", rotation=0)
    axes.set_xticks(axes.get_xticks(), visible(list(next(iter(table.values())))), ha="center", fontfamily="monospace")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("probability (%)")
    axes.legend(frameon=False)
    return made


def surprise(text: str, rows: Mapping[str, Sequence[float]]) -> Any:
    """Under each other, for each row of numbers: the nats that every character of the text costs."""
    from matplotlib.ticker import MultipleLocator
    made, (first,) = figure(width=10, height=1.6 + 1.3 * (len(rows) - 1))
    first.remove()
    panels = made.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, colour, (label, nats) in zip(panels, COLOURS, rows.items()):
        axes.bar(range(len(text)), nats, color=colour, width=0.85)
        axes.set_title(f"{label}: {sum(nats):.1f} nats in all", fontsize=9, loc="left")
        axes.set_ylabel("nats")
        axes.yaxis.set_major_locator(MultipleLocator(2))
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(-0.7, len(text) - 0.3)
    panels[-1].set_xticks(range(len(text)), visible(text), fontsize=8, fontfamily="monospace")
    panels[-1].tick_params("x", length=0)
    return made


def memory(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], floor: float) -> Any:
    """curves: {label: (losses on the training texts, on others)}, by the number of characters that a model looks back; and the floor under
    all models."""
    made, (axes,) = figure(width=7.2, height=4.2)
    for colour, marker, (label, (training, others)) in zip(COLOURS, "osD^", curves.items()):
        axes.plot(range(len(others)), others, color=colour, marker=marker, markersize=4, label=f"{label}: on other tales")
        axes.plot(range(len(training)), training, color=colour, linestyle=":", label=f"{label}: on the tales it counted")
    axes.axhline(floor, color=COLOURS[6], linewidth=1, linestyle="--", label="entropy: no model is better on new tales")
    axes.set_yscale("log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 4]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("memory (characters that the model looks back)")
    axes.set_ylabel("loss (nats per byte)")
    axes.legend(frameon=False, fontsize=9)
    return made
