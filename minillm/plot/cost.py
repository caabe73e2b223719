"""The pictures of lesson 7: where the FLOPs go, where 6ND breaks, how runs scale, and what memory grows with."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import COLOURS, figure


def shares(bars: Mapping[str, Mapping[str, float]]) -> Any:
    """A lying bar for each model, cut into its parts' shares, in percent of the whole."""
    made, (axes,) = figure(width=7.2, height=0.8 + 0.5 * len(bars))
    parts = list(next(iter(bars.values())))
    names, left = list(bars), [0.0] * len(bars)
    for part, colour in zip(parts, COLOURS):
        sizes = [100 * bars[name].get(part, 0) / sum(bars[name].values()) for name in names]
        axes.barh(names, sizes, left=left, color=colour, label=part)
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the FLOPs of a training step (%)")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=len(parts))
    return made


def beyond_six_nd(contexts: Sequence[int], curves: Mapping[str, Sequence[float]], executed: Mapping[str, Sequence[float]],
                  counted: Mapping[str, Sequence[tuple[int, float]]]) -> Any:
    """C/(6ND) − 1 in percent over the context, a curve a model. executed: the same of what a program does beyond what is needed, dashed;
    counted: (context, value) where that was counted in the running program, as dots."""
    made, (axes,) = figure(width=7.2, height=4.2)
    axes.axhspan(-1, 1, color="grey", alpha=0.2, linewidth=0, label="within 1 %")
    for (name, values), colour in zip(curves.items(), COLOURS):
        axes.plot(contexts, [100 * value for value in values], color=colour, linewidth=1.5, label=name)
        if name in executed:
            axes.plot(contexts, [100 * value for value in executed[name]], "--", color=colour, linewidth=1, label=f"{name}, as executed")
        if name in counted:
            axes.plot(*zip(*((t, 100 * value) for t, value in counted[name])), "o", color=colour, markersize=5, label=f"{name}, counted")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:+g} %" if y else "0")
    axes.set_xlabel("context (tokens)")
    axes.set_ylabel("training FLOPs against 6ND")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return made


def processors(counts: Sequence[int], strong: Mapping[str, Sequence[float]], weak: Mapping[str, Sequence[float]]) -> Any:
    """Speedups over the number of processors: of one job (strong scaling), and of a job that grows with them (weak)."""
    made, panels = figure(columns=2, width=4.4, height=3.6)
    titles = "strong: the same job", "weak: a job that grows with the processors"
    for axes, curves, title in zip(panels, (strong, weak), titles, strict=True):
        axes.plot(counts, counts, color="black", linestyle="--", linewidth=0.8, label="no serial part")
        for (name, values), colour in zip(curves.items(), COLOURS):
            axes.plot(counts, values, color=colour, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("processors")
        axes.set_ylabel("speedup")
        axes.legend(frameon=False, fontsize=8)
    return made


def memory(tokens: Sequence[int], curves: Mapping[str, Sequence[float]], levels: Mapping[str, float]) -> Any:
    """Gigabytes over the tokens of a batch: curves that grow with them, and levels that don't."""
    made, (axes,) = figure(width=6.8, height=3.8)
    for (name, size), colour in zip(levels.items(), COLOURS):
        axes.axhline(size, color=colour, linestyle="--", label=name)
    for (name, sizes), colour in zip(curves.items(), COLOURS[len(levels):]):
        axes.plot(tokens, sizes, color=colour, marker="o", markersize=3, label=name)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("tokens of a batch")
    axes.set_ylabel("memory (GB)")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return made
