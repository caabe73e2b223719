"""Every picture of minillm: one style, in colours that colour-blind readers can tell apart.

matplotlib is loaded when a picture is made. The pictures of a lesson are in a file of their own; `show` puts one into a notebook.
"""

import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Okabe and Ito's colours, in the order in which they are used.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442"]
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
         "grid.alpha": 0.3, "axes.axisbelow": True, "figure.dpi": 100, "savefig.dpi": 150, "legend.frameon": False}


def figure(columns: int = 1, width: float = 6.4, height: float = 4.0) -> tuple[Any, list[Any]]:
    """A figure in our style with axes side by side. It belongs to no window, so nothing is left open."""
    import matplotlib
    from matplotlib.figure import Figure
    with matplotlib.rc_context(STYLE):
        made = Figure(figsize=(width * columns, height), layout="constrained")
        axes = made.subplots(1, columns, squeeze=False)[0]
        for each in axes:
            each.set_prop_cycle(color=COLOURS)
    return made, list(axes)


def save(made: Any, path: str | Path | io.BytesIO, **options: Any) -> None:
    import matplotlib
    with matplotlib.rc_context(STYLE):
        made.savefig(path, **options)


def show(made: Any, alt: str, dots_per_inch: int = 110) -> None:
    """Puts a picture into a notebook, as a PNG of modest size. alt: what is to be seen, in a sentence, for those who can't see it. It is
    the picture's own alt text where the viewer knows that (nbconvert), and folded below it, as JupyterLab does not."""
    from IPython.display import display
    from PIL import Image
    if not alt.strip():
        raise ValueError("A picture in a lesson needs its `alt`: a sentence that says what is to be seen.")
    full, file = io.BytesIO(), io.BytesIO()
    save(made, full, format="png", dpi=dots_per_inch)
    palette = Image.open(full).convert("RGB").quantize(256, dither=Image.Dither.NONE)   # a third of the bytes, and nobody sees it
    palette.save(file, "PNG", optimize=True)                                            # and nothing but the picture is in the file
    width = round(made.get_figwidth() * 100)                                            # as wide on every screen
    display({"image/png": file.getvalue(), "text/plain": alt}, metadata={"image/png": {"alt": alt, "width": width}}, raw=True)
    words = f"<details><summary>The picture in words</summary>{html.escape(alt)}</details>"
    display({"text/html": words, "text/plain": alt}, raw=True)


def grouped_bars(axes: Any, table: Mapping[str, Mapping[str, float]]) -> None:
    """A group of bars for each column of the table, in it a bar for each row, with its number above."""
    kinds = list(next(iter(table.values())))
    width = 0.8 / len(table)
    for i, (name, row) in enumerate(table.items()):
        places = [k - 0.4 + (i + 0.5) * width for k in range(len(kinds))]
        bars = axes.bar(places, [row[kind] for kind in kinds], width * 0.92, label=name, color=COLOURS[i % len(COLOURS)])
        axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=1)
    axes.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")


def six_nd(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]], dots: Mapping[str, Sequence[tuple[int, float]]],
           meanings: Mapping[str, tuple[Sequence[int], Sequence[float]]], path: str | Path) -> None:
    """Left: by how much training compute differs from 6ND, over the context, a curve a model, with dots where it was counted. Right:
    the same at one context, over the model's size, a curve for each meaning of N. Shares, drawn in percent; the rule holds in the band."""
    made, (left, right) = figure(columns=2, height=4.6)
    for axes, lines in ((left, curves), (right, meanings)):
        axes.axhspan(-1, 1, color=COLOURS[2], alpha=0.15, linewidth=0, label="within 1 %")
        for i, (name, (x, shares)) in enumerate(lines.items()):
            colour = COLOURS[i % len(COLOURS)]
            axes.plot(x, [100 * share for share in shares], color=colour, linewidth=1.5, label=name)
            if name in dots and axes is left:
                axes.plot(*zip(*((t, 100 * share) for t, share in dots[name]), strict=True), "o", color=colour, markersize=5,
                          label=f"{name}, counted as executed")
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(-20, 1000)
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:+g} %" if y else "0")
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False)
    left.set_xlabel("context t (tokens)")
    left.set_ylabel("C/(6ND) − 1")
    left.set_title("N: all parameters", fontsize=10)
    right.set_title("GPT-2's shape at every size, t = 1,024", fontsize=10)
    right.set_xlabel("all parameters N")
    right.set_ylabel("C/(6ND) − 1")
    save(made, path)


def roofline(name: str, points: Mapping[str, tuple[float, float, float]], peak: float, bandwidth: float, path: str | Path) -> None:
    """What each operation reaches under the two ceilings of a machine, as a PNG. points: {operation: (FLOPs a byte, FLOP/s, share of the
    time)}; the share is the area of its dot."""
    made, (axes,) = figure(width=8, height=5)
    ridge = peak / bandwidth
    least, most = (extreme([x for x, _, _ in points.values()] + [ridge]) for extreme in (min, max))
    left, right = least / 3, most * 4
    axes.plot([left, ridge, right], [left * bandwidth / 1e9, peak / 1e9, peak / 1e9], color="black", linewidth=1.5)
    axes.annotate(f"large matrix products: {peak / 1e9:,.0f} GFLOP/s", (right, peak / 1e9), (0, 4), textcoords="offset points", ha="right")
    axes.annotate(f"copying arrays: {bandwidth / 1e9:,.0f} GB/s", (left * 1.1, left * 1.1 * bandwidth / 1e9), (6, -2), textcoords="offset points", va="top")
    for i, (op, (x, y, share)) in enumerate(sorted(points.items(), key=lambda item: -item[1][2])):
        axes.scatter([x], [y / 1e9], s=20 + 1500 * share, color=COLOURS[i % len(COLOURS)], marker="os^"[i // len(COLOURS) % 3], alpha=0.8,
                     linewidth=0, label=f"{op}, {share:.1%} of the time")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("FLOPs for each byte that must move")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(name, fontsize=10)
    legend = axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False)
    for handle in legend.legend_handles:
        handle.set_sizes([40])
    save(made, path)


def compression(table: Mapping[str, Mapping[str, float]], path: str | Path) -> None:
    """Bytes per token, by tokenizer and kind of text, as a PNG."""
    made, (axes,) = figure(width=max(6.4, 1.1 * len(next(iter(table.values())))))
    grouped_bars(axes, table)
    axes.set_ylabel("bytes per token (more is better)")
    if len(table) > 1:
        axes.legend()
    save(made, path)


def vocabulary(name: str, kinds: Mapping[str, float], lengths: Sequence[int], path: str | Path) -> None:
    """One tokenizer: bytes per token by kind of text, and how long its tokens are, as a PNG."""
    made, (left, right) = figure(columns=2)
    grouped_bars(left, {name: kinds})
    left.set_ylabel("bytes per token (more is better)")
    longest = max(lengths, default=1)
    right.hist(lengths, bins=[n - 0.5 for n in range(1, min(longest, 32) + 2)], color=COLOURS[0])
    right.set_xlabel("length of a token (bytes)")
    right.set_ylabel("number of tokens")
    made.suptitle(name)
    save(made, path)


def losses(lines: Sequence[Mapping[str, Any]], path: str | Path, band: Any = None, floor: float | None = None, **options: Any) -> None:
    """A run's loss over its steps, from the lines of metrics.jsonl. band: a training.bands.Band; floor: the least possible loss."""
    from matplotlib.ticker import LogLocator
    made, (axes,) = figure()
    steps = [line["step"] + 1 for line in lines]
    axes.plot(steps, [line["loss"] for line in lines], linewidth=0.6, alpha=0.35)
    window = 20
    means = [sum(line["loss"] for line in lines[max(0, i - window + 1):i + 1]) / min(i + 1, window) for i in range(len(lines))]
    axes.plot(steps, means, color=COLOURS[0], label=f"training (mean of {window} steps)")
    if measured := [(line["step"] + 1, line["validation"]) for line in lines if line.get("validation") is not None]:
        axes.plot(*zip(*measured), "o", markersize=4, color=COLOURS[1], label="validation")
    if band is not None:
        axes.fill_between(band.steps, band.low, band.high, color=COLOURS[2], alpha=0.2, linewidth=0, label=f"where {band.seeds} other runs lay")
    if floor is not None:
        axes.axhline(floor, color=COLOURS[6], linewidth=0.8, linestyle="--", label="the least possible: the corpus's entropy")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.set_yscale("log")                       # else nothing could be seen but the fall of the first steps
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.legend()
    save(made, path, **options)
