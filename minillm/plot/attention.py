"""The pictures of the lesson on attention."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import figure
from .matrices import matrix


def weights(maps: Mapping[str, Any], queries: Sequence[str], keys: Sequence[str], digits: int | None = None, width: float = 3.4,
            height: float = 3.2) -> Any:
    """Attention weights side by side, one matrix a head or a rule: rows are queries, columns are keys, all in one scale from 0 to 1."""
    made, axes = figure(columns=len(maps), width=width, height=height)
    for number, (each, (title, values)) in enumerate(zip(axes, maps.items(), strict=True)):
        drawn = matrix(each, values, title, None if number else queries, keys, limit=1.0, digits=digits)
        each.tick_params(axis="x", rotation=90 if max(map(len, keys)) > 4 else 0)
        each.set_xlabel("key")
    axes[0].set_ylabel("query")
    made.colorbar(drawn, ax=axes, label="weight", shrink=0.8)
    return made


def sharpness(curves: Mapping[str, Sequence[float]], matched: Mapping[str, Sequence[float]], sizes: Sequence[int]) -> Any:
    """Left the attention weights of random queries, sorted and averaged, a curve for each way to scale. Right the weight that a key
    which matches its query perfectly gets, over the number of keys."""
    made, (left, right) = figure(columns=2, width=4.8, height=3.6)
    for name, sorted_weights in curves.items():
        left.plot(range(1, len(sorted_weights) + 1), sorted_weights, label=name)
    left.set(xlabel="key, from the most to the least looked at", ylabel="mean weight", yscale="log", title="random queries and keys")
    for name, weight in matched.items():
        right.plot(sizes, weight, ".-", label=name)
    right.set(xscale="log", ylim=(-0.03, 1.05), xlabel="number of keys", ylabel="weight of the matching key",
              title="one key equals the query, the others are random")
    left.legend(fontsize=8)
    right.set_xticks(sizes, [f"{size:,}" for size in sizes])
    right.minorticks_off()
    for each in (left, right):
        each.title.set_fontsize(10)
    return made


def weights_by_scale(largest: Mapping[str, Any], slopes: Mapping[str, Any], sizes: Sequence[int]) -> Any:
    """Over the head size: left the largest weight of a row, right how strongly the weights still answer to the scores."""
    made, (left, right) = figure(columns=2, width=4.8, height=3.4)
    for each, table, label in ((left, largest, "mean of the largest weight"), (right, slopes, "mean length of a row of dS")):
        for name, values in table.items():
            each.plot(sizes, np.asarray(values), ".-", label=name)
        each.set(xscale="log", xlabel="head size e", ylabel=label)
        each.set_ylim(bottom=0)
        each.set_xticks(sizes, [str(size) for size in sizes])
        each.minorticks_off()
    left.legend(fontsize=8)
    return made
