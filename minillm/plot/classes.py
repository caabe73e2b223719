"""Pictures of a class: how many passed each check, how the points are spread, which mistakes were made, how often people tried."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import COLOURS, figure, save

STATES = {"passed": COLOURS[2], "failed": COLOURS[5], "open": COLOURS[1], "not reached": "#b8bfc8", "not started": "#e3e6ea"}


def checks(states: Mapping[str, Mapping[str, Mapping[str, int]]], path: str | Path) -> None:
    """{exercise: {check: {state: students}}}: a bar a check, from passed to not started; beside it the share that passed."""
    lines, groups, at = [], [], 0.0
    for exercise, of_check in states.items():
        groups.append((at, exercise))
        at += 0.9
        for check, counts in of_check.items():
            lines.append((at, check, counts))
            at += 1
        at += 0.2
    deepest = lines[-1][0] if lines else 1
    made, (axes,) = figure(width=8.2, height=1.1 + 0.27 * (deepest + 1))
    for at, _, counts in lines:
        students, left = max(sum(counts.values()), 1), 0.0
        for state, colour in STATES.items():
            share = 100 * counts.get(state, 0) / students
            axes.barh(at, share, 0.8, left, color=colour, linewidth=0)
            left += share
        axes.annotate(f"{100 * counts.get('passed', 0) / students:.0f} %", (100, at), (5, 0), textcoords="offset points", va="center", fontsize=8)
    for at, exercise in groups:
        axes.annotate(exercise, (0, at), (-4, 0), textcoords="offset points", ha="right", va="center", fontsize=8, fontweight="bold")
    axes.set_yticks([at for at, _, _ in lines], [check for _, check, _ in lines], fontsize=8)
    axes.set_ylim(deepest + 0.7, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the students (%)")
    axes.grid(False)
    for state, colour in STATES.items():
        if any(counts.get(state) for _, _, counts in lines):
            axes.barh(0, 0, color=colour, label=state)
    made.legend(loc="outside upper right", ncols=len(STATES), fontsize=8, frameon=False)
    save(made, path)


def points(earned: Sequence[float], possible: float, path: str | Path) -> None:
    """How many students have how many points, in at most twenty steps."""
    made, (axes,) = figure(width=7, height=3)
    width = max(possible, 1) / min(20, max(int(possible), 1))
    steps = round(max(possible, *earned, 1) / width + 0.5) if earned else 1
    axes.hist(earned, bins=[(i - 0.5) * width for i in range(steps + 2)], color=COLOURS[0], rwidth=0.92)
    whole_numbers(axes.yaxis)
    axes.set_xlabel(f"points (of {possible:g})")
    axes.set_ylabel("students")
    save(made, path)


def mistakes(counts: Mapping[str, int], path: str | Path, most: int = 15) -> None:
    """The most frequent diagnoses."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    made, (axes,) = figure(width=7, height=0.9 + 0.3 * len(found))
    bars = axes.barh([name for name, _ in found], [count for _, count in found], 0.75, color=COLOURS[5])
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.invert_yaxis()
    whole_numbers(axes.xaxis)
    axes.grid(False)
    axes.set_xlabel("students")
    save(made, path)


def attempts(counts: Mapping[str, Sequence[int]], path: str | Path) -> None:
    """{exercise: how many versions each student handed in}: the mean as a bar, the most as a dot."""
    made, (axes,) = figure(width=7, height=0.9 + 0.3 * len(counts))
    axes.barh(list(counts), [sum(each) / len(each) for each in counts.values()], 0.75, color=COLOURS[0], label="mean")
    axes.plot([max(each) for each in counts.values()], list(counts), "o", color=COLOURS[1], markersize=5, label="most")
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlim(left=0)
    axes.set_xlabel("versions that a student handed in")
    axes.legend(fontsize=8)
    save(made, path)


def whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
