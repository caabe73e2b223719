"""Plans of memory: nothing that lives at the same time overlaps, and little is wasted."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minillm.kernels.memory_plan import FREE, TAKE, UNIT, Plan, lifetimes, lower_bound, place, plan

SIZES = st.integers(1, 20 * UNIT)


@st.composite
def histories(draw, most=40, nested=False):
    """Pieces are taken and freed in any order; some live to the end. nested: the last one that was taken goes first."""
    events, live, count = [], [], 0
    for _ in range(draw(st.integers(0, most))):
        if live and draw(st.booleans()):
            events.append((FREE, live.pop(-1 if nested else draw(st.integers(0, len(live) - 1)))))
        else:
            events.append((TAKE, draw(SIZES)))
            live.append(count)
            count += 1
    return events


def most_alive(events):
    """By trying every moment."""
    lives = lifetimes(events)
    return max((int(lives.size[(lives.begin <= now) & (now < lives.end)].sum()) for now in range(len(events))), default=0)


@given(histories())
def test_what_lives_at_the_same_time_lies_apart(events):
    """Played through, byte by byte (of 512)."""
    made = plan(events)
    owner, ranges = np.full(made.peak // UNIT, -1), []
    for what, value in events:
        if what == TAKE:
            low, piece = made.offsets[len(ranges)], len(ranges)
            assert low % UNIT == 0
            ranges.append(slice(low // UNIT, -(-(low + value) // UNIT)))
            assert len(owner[ranges[-1]]) == -(-value // UNIT), "beyond the end"
            assert (owner[ranges[-1]] == -1).all(), f"piece {piece} overlaps pieces {set(owner[ranges[-1]].tolist()) - {-1}}"
            owner[ranges[-1]] = piece
        else:
            owner[ranges[value]] = -1
    assert len(ranges) == len(made.offsets)


@given(histories())
def test_the_peak_lies_between_the_lower_bound_and_all_sizes_together(events):
    made = plan(events)
    assert made.lower_bound == lower_bound(events) == most_alive(events)
    assert made.lower_bound <= made.peak <= lifetimes(events).size.sum()


@given(histories(nested=True))
@example([(TAKE, 2 * UNIT), (TAKE, UNIT), (TAKE, 3 * UNIT), (FREE, 2), (TAKE, 2 * UNIT), (TAKE, 2 * UNIT)])     # where largest first fails
def test_what_is_freed_in_reverse_order_needs_no_more_than_the_lower_bound(events):
    assert plan(events).peak == lower_bound(events)


@given(st.lists(st.integers(0, 1), max_size=30))
def test_pieces_of_one_size_need_no_more_than_the_lower_bound(choices):
    events, live, count = [], [], 0
    for free in choices:
        if free and live:
            events.append((FREE, live.pop(0)))   # not like a stack: the oldest goes first
        else:
            events.append((TAKE, UNIT))
            live.append(count)
            count += 1
    assert plan(events).peak == lower_bound(events)


@given(histories())
def test_the_same_history_gives_the_same_plan(events):
    assert plan(events) == plan(list(events))


def test_the_picture_of_the_docstring():
    a, b, c = range(3)
    events = [(TAKE, 4 * UNIT), (TAKE, 3 * UNIT), (FREE, a), (TAKE, 2 * UNIT), (FREE, c), (FREE, b)]
    made = plan(events)
    assert made == Plan([0, 4 * UNIT, 0], 7 * UNIT, 7 * UNIT)


def test_a_freed_place_is_taken_again_at_once_and_sizes_are_rounded_up():
    assert plan([(TAKE, 1), (FREE, 0), (TAKE, UNIT - 1), (FREE, 1), (TAKE, UNIT + 1)]) == Plan([0, 0, 0], 2 * UNIT, 2 * UNIT)
    assert plan([]) == Plan([], 0, 0)


def test_a_piece_goes_into_the_smallest_gap_that_holds_it():
    """Four pieces one above the other; the first and the third go. A small one fits in both gaps."""
    sizes = (3, 1, 2, 1)
    events = [(TAKE, size * UNIT) for size in sizes] + [(FREE, 0), (FREE, 2), (TAKE, 2 * UNIT), (TAKE, 3 * UNIT)]
    assert place(lifetimes(events), np.arange(6)).tolist() == [0, 3 * UNIT, 4 * UNIT, 6 * UNIT, 4 * UNIT, 0]


def layers(count, kept, temporary, backward):
    """Events as of a model: forward keeps some arrays of each layer, backward frees them layer by layer."""
    events, piece, live = [], 0, []
    for _ in range(count):
        for size in kept:
            events.append((TAKE, size))
            live.append(piece)
            piece += 1
            events += [(TAKE, temporary), (FREE, piece)]
            piece += 1
    while live:
        events += [(TAKE, backward), (FREE, live.pop()), (FREE, piece)]
        piece += 1
    return events


@pytest.mark.parametrize("kept", [[1000, 50_000, 3000], [8192] * 5, [123_456, 77, 9999]])
def test_forward_and_backward_of_layers_need_no_more_than_the_lower_bound(kept):
    made = plan(layers(12, kept, 30_000, 60_000))
    assert made.peak == made.lower_bound
