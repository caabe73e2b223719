"""The pictures of lesson 6: norms, positions, activations, the learning rate, and what breaks without each part of a block."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import Float
from . import COLOURS, figure


TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)            # of a loss, on a logarithmic axis


def amplification(sizes: Mapping[str, Sequence[float]]) -> Any:
    """How long the rows are that each norm makes: histograms over a logarithmic axis. sizes: root mean squares."""
    made, (axes,) = figure(height=3.2)
    low, high = min(map(min, sizes.values())), max(map(max, sizes.values()))
    edges = np.geomspace(low / 1.1, high * 1.1, 80)
    for (name, values), colour in zip(sizes.items(), COLOURS):
        axes.hist(values, edges, color=colour, alpha=0.8, label=name, weights=np.full(len(values), 100 / len(values)))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("root mean square of a row, after the norm")
    axes.set_ylabel("share of the rows (%)")
    axes.legend(frameon=False)
    return made


def waves(table: Float[np.ndarray, "t d"]) -> Any:
    """Sinusoidal positions as an image: a row for each position, a column for each channel."""
    made, (axes,) = figure(height=3.4)
    image = axes.imshow(table, aspect="auto", cmap="cividis", vmin=-1, vmax=1, interpolation="nearest")
    axes.grid(False)
    axes.set_xlabel("channel")
    axes.set_ylabel("position (tokens)")
    made.colorbar(image, ax=axes, label="what is added")
    return made


def turning(angles: Mapping[str, Sequence[float]], scores: Mapping[str, Sequence[float]]) -> Any:
    """Left: the cosine of some pairs' angles, by position. Right: how alike a vector is to itself, turned for a distance, by distance."""
    made, (left, right) = figure(columns=2, width=4.6, height=3.8)
    for axes, curves in ((left, angles), (right, scores)):
        for (name, values), colour in zip(curves.items(), COLOURS):
            axes.plot(np.arange(len(values)), values, color=colour, label=name, linewidth=1.4)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=1 if axes is right else 2)
    left.set_xlabel("position (tokens)")
    left.set_ylabel("cosine of the angle")
    right.set_xlabel("distance between query and key (tokens)")
    right.set_ylabel("score / score at distance 0")
    return made


def activations(x: Sequence[float], values: Mapping[str, Sequence[float]], slopes: Mapping[str, Sequence[float]]) -> Any:
    """Left: activation functions. Right: their slopes."""
    made, (left, right) = figure(columns=2, width=4.2, height=3)
    for axes, curves, what in ((left, values, "y"), (right, slopes, "slope of y")):
        for (name, y), colour in zip(curves.items(), COLOURS):
            axes.plot(x, y, color=colour, label=name, linewidth=1.6)
        axes.set_xlabel("x")
        axes.set_ylabel(what)
    left.legend(frameon=False)
    return made


def by_block(curves: Mapping[str, Sequence[float]], ylabel: str) -> Any:
    """One number after the embedding and after each block."""
    made, (axes,) = figure(height=3.2)
    for (name, values), colour, marker in zip(curves.items(), COLOURS, "osD^v"):
        axes.plot(range(len(values)), values, color=colour, marker=marker, markersize=4, label=name)
    axes.set_xlabel("blocks passed")
    axes.set_ylabel(ylabel)
    axes.set_ylim(0, 1.05 * max(1, max(map(max, curves.values()))))
    axes.legend(frameon=False)
    return made


def first_steps(steps: Mapping[str, Sequence[float]]) -> Any:
    """How far Adam moves a parameter whose gradient is always the same, in learning rates, step by step."""
    made, (axes,) = figure(height=3.2)
    axes.axhline(1, color="black", linewidth=0.8, linestyle="--", label="one learning rate")
    for (name, values), colour in zip(steps.items(), COLOURS):
        axes.plot(range(1, len(values) + 1), values, color=colour, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("move (learning rates)")
    axes.set_ylim(0, None)
    axes.legend(frameon=False, fontsize=9)
    return made


def schedules(rates: Mapping[str, Sequence[float]]) -> Any:
    """Learning rates step by step, as shares of the peak."""
    made, (axes,) = figure(height=3.2)
    for (name, values), colour, dashes in zip(rates.items(), COLOURS, ("-", "--", "-.", ":")):
        axes.plot(range(len(values)), values, color=colour, linestyle=dashes, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("learning rate (share of the peak)")
    axes.legend(frameon=False, fontsize=9)
    return made


def ablations(panels: Mapping[str, Mapping[str, Sequence[float]]], whole: Sequence[Sequence[float]], window: int = 10,
              levels: Mapping[str, float] | None = None) -> Any:
    """Loss curves of models that lack a part, a panel for each title, in each of them the whole model's, from several seeds, in black.
    Every curve is a mean over the last `window` steps. levels: losses to compare with, as dotted lines."""
    made, panels_axes = figure(columns=len(panels), width=4.8, height=4.6)
    longest = len(whole[0])
    for axes, (title, curves) in zip(panels_axes, panels.items(), strict=True):
        for i, losses in enumerate(whole):
            name = None if i else f"the whole block, {len(whole)} seeds"
            axes.plot(*smoothed(losses, window), color="black", linewidth=1 if i else 2.5, label=name)
        for (name, losses), colour in zip(curves.items(), COLOURS[:6]):
            steps, means = smoothed(losses, window)
            axes.plot(steps, means, color=colour, linewidth=1.5, label=name)
            if len(losses) < longest:            # a run that was stopped
                axes.plot(steps[-1:], means[-1:], "x", color=colour, markersize=9, markeredgewidth=2)
        for name, level in (levels or {}).items():
            axes.axhline(level, color="grey", linewidth=0.8, linestyle=":")
            axes.annotate(name, (1, level), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", fontsize=7)
        axes.set_yscale("log")
        axes.set_yticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_ylim(*limits([*whole, *(losses for each in panels.values() for losses in each.values())], window))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.set_ylabel(f"loss (nats per token, mean of {window} steps)")
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return made


def limits(runs: Sequence[Sequence[float]], window: int) -> tuple[float, float]:
    """What an axis must reach from and to, for all curves to be seen; whole ticks, so that several panels have the same."""
    means = [mean for losses in runs for mean in smoothed(losses, window)[1]]
    return max(tick for tick in TICKS if tick <= max(min(means), TICKS[0])), min(tick for tick in TICKS if tick >= min(max(means), TICKS[-1]))


def smoothed(losses: Sequence[float], window: int) -> tuple[list[int], list[float]]:
    """(steps, means over the last `window` losses, or as many as there are)."""
    means = [float(np.mean(losses[max(0, i + 1 - window):i + 1])) for i in range(len(losses))]
    return list(range(1, len(means) + 1)), means


def learning(losses: Sequence[float], floor: float, window: int = 20) -> Any:
    """One run's loss, and the least that any model could have."""
    made, (axes,) = figure(height=3.6)
    axes.plot(range(1, len(losses) + 1), losses, color=COLOURS[0], linewidth=0.5, alpha=0.35)
    axes.plot(*smoothed(losses, window), color=COLOURS[0], label=f"training (mean of {window} steps)")
    axes.axhline(floor, color="black", linestyle="--", linewidth=0.9, label="the least possible: the corpus's entropy")
    axes.set_yscale("log")
    axes.set_yticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_ylim(0.9 * floor, 1.1 * max(losses))
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.legend(frameon=False)
    return made


def next_tokens(tokens: Sequence[str], panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Any:
    """Probabilities of the same tokens under several ways to sample, a panel for each group of them."""
    made, panels_axes = figure(columns=len(panels), width=4.6, height=3.4)
    places = np.arange(len(tokens))
    for axes, (title, ways) in zip(panels_axes, panels.items(), strict=True):
        width = 0.8 / len(ways)
        for i, (name, p) in enumerate(ways.items()):
            axes.bar(places - 0.4 + (i + 0.5) * width, p, width, color=COLOURS[i % len(COLOURS)], label=name)
        axes.set_xticks(places, tokens, rotation=60, ha="right", fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel("probability of being drawn")
        axes.legend(frameon=False, fontsize=8)
    return made
