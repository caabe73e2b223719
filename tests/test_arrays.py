"""The ground floor: dtypes, the error function, the scatter-add, costs, places and threads."""

import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm import arrays
from minillm.arrays import Flops, Work


@pytest.mark.parametrize("dtype, expected", [("float16", "float32"), (arrays.bfloat16, "float32"),
                                             ("float32", "float32"), ("float64", "float64")])
def test_wide_is_the_precision_for_sums(dtype, expected):
    assert arrays.wide(np.ones(3, dtype)).dtype == expected


def test_wide_copies_nothing_that_is_wide_already():
    x = np.ones(3, np.float32)
    assert arrays.wide(x) is x


def test_rows_of_folds_the_leading_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(arrays.rows_of(x), np.arange(24.0).reshape(6, 4))
    assert arrays.rows_of(x[0, 0]).shape == (1, 4)


@given(ids=st.lists(st.integers(0, 4), max_size=12), seed=st.integers(0, 99))
def test_add_at_adds_where_ids_repeat(ids, seed):
    rows = np.random.default_rng(seed).normal(size=(len(ids), 3))
    target = np.ones((5, 3))
    arrays.add_at(target, np.array(ids, np.int64), rows)
    expected = np.array([1 + rows[[i for i, id in enumerate(ids) if id == row]].sum(0) for row in range(5)])
    assert np.allclose(target, expected, rtol=0, atol=1e-14)


def test_erf_agrees_with_the_standard_library():
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.0, 1e-300, 40, np.inf, -np.inf]])
    expected = np.array([math.erf(one) for one in x])
    assert np.max(np.abs(arrays.erf(x) - expected)) < 3e-15
    assert np.max(np.abs(arrays.erf(x.astype(np.float32)) - expected)) < 3e-7


def test_erf_is_odd_and_keeps_nan_and_the_dtype():
    x = np.linspace(0, 5, 51, dtype=np.float32)
    assert np.array_equal(arrays.erf(-x), -arrays.erf(x))
    assert arrays.erf(x).dtype == np.float32
    assert np.isnan(arrays.erf(np.array([np.nan]))[0])


def test_work_adds_up_and_what_is_needed_is_the_matrix_products_unless_said():
    assert Work(6, 5) == Work(6, 5, needed=6)
    assert Work(6, 5, needed=3) + Work(4, 1) == Work(10, 6, needed=7)
    assert Work(6, 5, needed=3) * 2 == Work(12, 10, needed=6)
    assert Flops(Work(), {"dx": Work(2, 1), "dw": Work(3, 4)}).backward_total == Work(5, 5)


def test_places_nest_and_end_also_after_an_error():
    with pytest.raises(ZeroDivisionError), arrays.place("layers.3"):
        with arrays.place("attention"):
            assert arrays.here() == "layers.3.attention"
        assert arrays.here() == "layers.3"
        _ = 1 / 0
    assert arrays.here() == ""


@pytest.fixture
def four_threads():
    before = arrays.num_threads()
    arrays.set_num_threads(4)
    yield
    arrays.set_num_threads(before)


def test_in_threads_answers_in_the_order_of_the_items_and_runs_several_at_once(four_threads):
    together = threading.Barrier(4, timeout=20)      # nobody passes until four have come

    def double(i):
        together.wait()
        return 2 * i

    assert arrays.in_threads(double, range(4)) == [0, 2, 4, 6]


def test_a_thread_counts_as_busy_so_that_it_starts_no_others(four_threads):
    def outer(i):
        if i:                                    # one alone, so that a mistake fails here and doesn't leave threads waiting for each other
            return set()
        return {threading.get_ident(), *arrays.in_threads(lambda _: threading.get_ident(), range(3))}

    assert len(arrays.in_threads(outer, range(2))[0]) == 1


def test_threads_know_the_place_they_were_started_from_and_hand_errors_on(four_threads):
    with arrays.place("layers.0"):
        assert arrays.in_threads(lambda _: arrays.here(), range(3)) == ["layers.0"] * 3
    with pytest.raises(ZeroDivisionError):
        arrays.in_threads(lambda i: 1 // i, range(3))


def test_no_threads_at_all_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        arrays.set_num_threads(0)


@pytest.mark.parametrize("slowest", [0, 3])
def test_turns_come_in_order_for_each_array_apart(slowest, four_threads):
    """Whoever is slow and whoever is quick: each array sees 0, 1, 2, 3, twice."""
    seen, turns = ([], []), arrays.Turns(4)

    def add(number):
        with turns.of(number):
            for which in (0, 0, 1, 1):
                time.sleep(0.005 * (3 - abs(slowest - number)))
                with arrays.in_turn(seen[which]):
                    seen[which].append(number)

    arrays.in_threads(add, range(4))
    assert seen == ([0, 1, 2, 3] * 2, [0, 1, 2, 3] * 2)


def test_a_number_is_already_at_the_next_array_while_another_is_at_the_first(four_threads):
    first, second, turns, both = [], [], arrays.Turns(2), threading.Barrier(2, timeout=15)

    def add(number):
        with turns.of(number):
            with arrays.in_turn(first):
                if number == 1:
                    both.wait()
            with arrays.in_turn(second):
                if number == 0:
                    both.wait()
        return number

    assert arrays.in_threads(add, range(2)) == [0, 1]


def test_an_error_keeps_nobody_waiting(four_threads):
    turns, total = arrays.Turns(3), []

    def add(number):
        with turns.of(number):
            if number == 0:
                raise ValueError("number 0 fell over")
            with arrays.in_turn(total):
                total.append(number)

    with pytest.raises(ValueError, match="number 0 fell over"):
        arrays.in_threads(add, range(3))
    deadline = time.monotonic() + 60
    while len(total) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(total) == [1, 2]


def test_outside_of_turns_nobody_waits():
    with arrays.in_turn(np.zeros(3)):
        pass
