"""Pictures of lesson 2: how a vocabulary grows, how a token is put together, what a larger vocabulary brings, and to whom."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import COLOURS, figure, grouped_bars


def growth(read: Sequence[int], distinct: Mapping[str, Sequence[int]]) -> Any:
    """How many distinct units there are among the first so many words, a curve for each kind of unit."""
    made, (axes,) = figure(width=6.8, height=4.0)
    for colour, (name, numbers) in zip(COLOURS, distinct.items()):
        axes.plot(read, numbers, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("words read")
    axes.set_ylabel("distinct ones among them")
    axes.legend(frameon=False)
    return made


def tree(symbols: Sequence[str], joins: Sequence[tuple[int, int, int]]) -> Any:
    """How a word's symbols were joined: joins are (first symbol, last symbol, which merge it was, from 1). What shares no roof at the end are
    separate tokens."""
    made, (axes,) = figure(width=max(4.0, 0.62 * len(symbols) + 1.4), height=3.2)
    tops: dict[tuple[int, int], tuple[float, float]] = {(i, i): (i, 0.0) for i in range(len(symbols))}
    for i, symbol in enumerate(symbols):
        axes.text(i, -0.12, symbol.replace(" ", "␣"), ha="center", va="top", fontsize=12, fontfamily="monospace")
    for level, (first, last, number) in enumerate(joins, 1):
        left, right = (next(span for span in tops if span[end] == place) for end, place in ((0, first), (1, last)))
        (x0, y0), (x1, y1), y = tops.pop(left), tops.pop(right), float(level)
        axes.plot([x0, x0, x1, x1], [y0, y, y, y1], color=COLOURS[0], linewidth=1.6)
        axes.annotate(f"merge {number}", ((x0 + x1) / 2, y), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8.5,
                      bbox=dict(facecolor="white", edgecolor="none", pad=0.5))
        tops[first, last] = ((x0 + x1) / 2, y)
    for colour, ((first, last), _) in zip([COLOURS[1], COLOURS[2]] * len(symbols), sorted(tops.items())):
        axes.plot([first - 0.38, last + 0.38], [-0.85, -0.85], color=colour, linewidth=5, solid_capstyle="butt")
    axes.set_xlim(-0.7, len(symbols) - 0.3)
    axes.set_ylim(-1.1, len(joins) + 0.8)
    axes.axis("off")
    return made


def sizes(vocabularies: Sequence[int], lines: Mapping[str, Sequence[float]]) -> Any:
    """Bytes per token over the size of the vocabulary, which grows by doubling."""
    made, (axes,) = figure(width=6.8, height=4.0)
    for colour, marker, (name, numbers) in zip(COLOURS, "os", lines.items()):
        axes.plot(vocabularies, numbers, color=colour, marker=marker, markersize=5, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(vocabularies, [f"{size:,}" for size in vocabularies])
    axes.set_ylim(0)
    axes.set_xlabel("tokens in the vocabulary")
    axes.set_ylabel("bytes per token (more is better)")
    axes.legend(frameon=False)
    return made


def kinds(table: Mapping[str, Mapping[str, float]]) -> Any:
    """Bytes per token: a group of bars for each kind of text, in it one for each tokenizer."""
    made, (axes,) = figure(width=8.4, height=3.8)
    grouped_bars(axes, table)
    axes.tick_params("x", rotation=0)
    axes.set_xticks(axes.get_xticks(), list(next(iter(table.values()))), ha="center")
    axes.axhline(1, color="black", linewidth=0.8, linestyle="--")
    axes.set_ylabel("bytes per token (1: each byte a token)")
    axes.legend(frameon=False, title="a vocabulary learnt from", fontsize=9)
    return made
