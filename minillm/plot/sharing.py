"""The pictures of the lesson on sharing keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import COLOURS, figure


def who_reads_whom(maps: Mapping[str, tuple[Sequence[int], int]], width: float = 4.2, height: float = 2.2) -> Any:
    """An axes a way to share: query heads above, key heads below, a line from each query head to the key head that it reads. maps: title →
    (the key head of each query head, number of key heads). Key heads that nobody reads are crossed out."""
    made, axes = figure(columns=len(maps), width=width, height=height)
    for each, (title, (reads, key_heads)) in zip(axes, maps.items(), strict=True):
        at = [(c + 0.5) / key_heads for c in range(key_heads)]
        for i, c in enumerate(reads):
            each.plot([(i + 0.5) / len(reads), at[c]], [1, 0], color=COLOURS[c % len(COLOURS)], linewidth=1, zorder=1)
        each.scatter([(i + 0.5) / len(reads) for i in range(len(reads))], [1] * len(reads), s=18, color="black", zorder=2)
        for c, x in enumerate(at):
            used = c in reads
            each.scatter([x], [0], s=90, marker="s" if used else "x", color=COLOURS[c % len(COLOURS)] if used else "black", zorder=2)
        each.set(xlim=(0, 1), ylim=(-0.25, 1.2), xticks=[], yticks=[0, 1], title=title)
        each.set_yticklabels(["key heads", "query heads"] if each is axes[0] else ["", ""], fontsize=8)
        each.title.set_fontsize(10)
        each.grid(False)
        for side in each.spines.values():
            side.set_visible(False)
        each.tick_params(length=0)
    return made


def cache_sizes(tokens: Sequence[int], gigabytes: Mapping[str, Sequence[float]], levels: Mapping[str, float]) -> Any:
    """What the cache weighs over the number of tokens in it, a line for each way to share; levels: what else weighs so much."""
    made, (axes,) = figure(width=7)
    for name, sizes in gigabytes.items():
        axes.plot(tokens, sizes, label=name)
    for style, (name, level) in zip(("--", ":"), levels.items(), strict=False):
        axes.axhline(level, color="black", linewidth=0.8, linestyle=style, label=name)
    axes.set(xscale="log", yscale="log", xlabel="tokens in the cache, of all texts together", ylabel="keys and values (GB)")
    axes.legend(fontsize=8)
    return made


def shares(table: Mapping[str, Mapping[str, float]], label: str) -> Any:
    """Bars beside one another: for each column of the table a group, in it a bar for each row; with what share it is of the first."""
    made, (axes,) = figure(width=7, height=3.4)
    columns = list(next(iter(table.values())))
    width = 0.8 / len(table)
    for i, (name, row) in enumerate(table.items()):
        bars = axes.bar([j - 0.4 + (i + 0.5) * width for j in range(len(columns))], [row[column] for column in columns], width * 0.92, label=name)
        axes.bar_label(bars, fmt="{:.0%}", fontsize=8, padding=1)
    axes.set_xticks(range(len(columns)), columns)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set(ylabel=label, ylim=(0, 1.25))
    axes.legend(fontsize=8, ncols=len(table), loc="upper center")
    return made
