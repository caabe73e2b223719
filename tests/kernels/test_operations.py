"""Every operation that runs on kernels agrees with the float64 reference, whatever lies around its arrays, in every schedule, to the same bits."""

import contextlib
import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import outside
from kernels.cases import CASES
from kernels.device import DEVICE, KERNELS, TABLE, fresh, lift, lower, same_as_the_reference
from kernels.memory import embedded, poisoned_outputs
from ops.test_every_op import PRECISIONS, assert_close
from watched import everywhere

from minillm.arrays import bfloat16
from minillm.kernels import OPERATIONS, activations, attention, column_sums, cross_entropy, decode, dropout, embedding, emulator, norms, positions, rope, softmax, sort
from minillm.kernels.launcher import Launcher
from minillm.ops import REFERENCE, Ops, sum_of

EVERY = pytest.mark.parametrize("case", CASES, ids=str)
DTYPES = pytest.mark.parametrize("dtype", [np.dtype("float32"), bfloat16], ids=str)

# Sizes of blocks and grids that the launch code chooses, and others that must give the same up to rounding. (The block of column_sums is
# always 32 × 32, and that of flash_attention 128; their other freedom is the length of a walk: for the latter see test_attention.py.)
OTHER_SIZES = {
    norms: [dict(WARPS=1, BLOCKS=512), dict(WARPS=8, BLOCKS=3)], embedding: [dict(WARPS=1, RUN=3), dict(WARPS=32, RUN=1), dict(RUN=16)],
    sort: [dict(BITS=1, CHUNK=5), dict(BITS=3, CHUNK=64)],
    activations: [dict(THREADS=32), dict(THREADS=1024)], rope: [dict(THREADS=32), dict(THREADS=1024)], dropout: [dict(THREADS=1), dict(THREADS=33)],
    attention: [dict(TILE=8, WARPS=1), dict(TILE=4, WARPS=32)], column_sums: [dict(ROWS_OF_CHUNK=33), dict(ROWS_OF_CHUNK=400)],
    decode: [dict(SLOTS=4, KEYS_OF_PART=16, MOST_TOGETHER=2, WARPS=1), dict(SLOTS=8, KEYS_OF_PART=7, MOST_TOGETHER=1, WARPS=32)],
    cross_entropy: [dict(THREADS=32), dict(THREADS=512)],
    positions: [dict(THREADS=1), dict(THREADS=1024)], softmax: [dict(WARPS=1), dict(WARPS=32)],
}


def both_passes(op, case, dtype, wrap=lambda x: x, into=None):
    """The outputs and all gradients."""
    y, cache = op.forward(*(wrap(x) for x in case.arrays(dtype)), **case.options)
    dy = everywhere(wrap, case.upstream(everywhere(lambda x: x.astype(np.float32).astype(x.dtype), y)))
    return y, op.backward(dy, cache)


def exact(case, dtype):
    """The same in float64, from the very numbers that `dtype` can hold."""
    y, cache = case.operation.forward(*everywhere(double, tuple(case.arrays(dtype))), **case.options)
    dy = case.upstream(everywhere(lambda x: x.astype(dtype), y))
    return y, case.operation.backward(everywhere(double, dy), cache)


def double(x):
    return x.astype("float64") if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fV" else x


@contextlib.contextmanager
def no_fallback():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def same_bits(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same_bits, a, b))
    return a is b or a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# The plain kernels of attention know no packs, so it is all one to them where an array begins.
KNOWING_PACKS = [case for case in CASES if case.op != "attention" or case.inputs[0][1] == 1]


@pytest.mark.parametrize("case, offset", [(case, 0) for case in CASES] + [(case, 1) for case in KNOWING_PACKS],
                         ids=lambda x: ("not aligned" if x else "aligned") if isinstance(x, int) else str(x))
@DTYPES
def test_it_agrees_with_the_reference_in_float64_with_every_access_checked(case, dtype, offset):
    """In the checked build: bounds, races, uninitialised memory. Inputs lie amid NaN, and outputs are NaN before they are written."""
    op = getattr(KERNELS, case.op)
    with no_fallback(), emulator.settings(checked=True), poisoned_outputs(offset):
        y, gradients = both_passes(op, case, dtype, lambda x: embedded(x, offset))
    exact_y, exact_gradients = exact(case, dtype)
    assert_close(y, exact_y, PRECISIONS[dtype.name])
    assert_close(gradients, exact_gradients, PRECISIONS[dtype.name])
    same_kinds(case, dtype, y, gradients)


def test_arrays_that_begin_anywhere_are_taken():
    """Each array in turn is the one that doesn't begin at a multiple of 16 bytes."""
    for case in (case for case in CASES if case.name == "packs"):
        expected = both_passes(getattr(KERNELS, case.op), case, np.dtype("float32"))
        for odd in range(len(case.inputs) + 2):
            arrays = iter(range(9))
            with emulator.settings(checked=True), poisoned_outputs():
                result = both_passes(getattr(KERNELS, case.op), case, np.dtype("float32"), lambda x: embedded(x, int(next(arrays) == odd)))
            assert all(mine is other is None or np.allclose(mine, other, rtol=1e-5, atol=1e-6)
                       for mine, other in zip(flat(result), flat(expected), strict=True))


def same_kinds(case, dtype, y, gradients):
    """Dtypes and shapes are the reference's."""
    wanted = both_passes(case.operation, case, dtype)
    for mine, other in zip(flat((y, gradients)), flat(wanted), strict=True):
        assert (mine is None) == (other is None)
        assert mine is None or (mine.dtype, mine.shape) == (other.dtype, other.shape)


def flat(x):
    return [part for each in x for part in flat(each)] if isinstance(x, tuple) else [x]


# Of attention those that meet every barrier: which keys are hidden makes no difference to a schedule.
BARRIERS = ("tiles", "full tiles", "large head", "grouped query", "everything at once", "one query", "one query in packs")


@pytest.mark.parametrize("case", [case for case in CASES if case.op != "attention" or case.name in BARRIERS], ids=str)
@DTYPES
def test_every_schedule_gives_the_same_bits(case, dtype):
    op, results = getattr(KERNELS, case.op), []
    for seed in (0, 1, 2):
        with emulator.settings(seed=seed, checked=True), poisoned_outputs():
            results.append(both_passes(op, case, dtype))
    assert all(same_bits(result, results[0]) for result in results[1:])


def runs_on(module, case):
    one_query = case.op == "attention" and case.inputs[0][1] == 1
    if module is decode:
        return one_query
    if module is attention:                      # heads of at most two tiles: each size is compiled anew
        return case.op == "attention" and not one_query and case.inputs[0][-1] <= 2 * attention.TILE
    if module is sort:
        return case.op == "embedding" or case.op == "learned_positions" and "positions" in case.options
    return case.op == "linear" if module is column_sums else OPERATIONS[case.op].__module__ == module.__name__


@pytest.mark.parametrize("module, sizes", [(module, sizes) for module, choices in OTHER_SIZES.items() for sizes in choices],
                         ids=lambda x: x.__name__.rpartition(".")[2] if hasattr(x, "__name__") else " ".join(f"{n} {v}" for n, v in x.items()))
@DTYPES
def test_other_block_sizes_compute_the_same(module, sizes, dtype, monkeypatch):
    for name, value in sizes.items():
        assert hasattr(module, name)
        monkeypatch.setattr(module, name, value)
    for case in CASES:
        if runs_on(module, case):
            with emulator.settings(checked=True), poisoned_outputs():
                y, gradients = both_passes(getattr(KERNELS, case.op), case, dtype)
            exact_y, exact_gradients = exact(case, dtype)
            assert_close(y, exact_y, PRECISIONS[dtype.name])
            assert_close(gradients, exact_gradients, PRECISIONS[dtype.name])


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_runs_at_other_block_sizes(op):
    """But those that are nothing but others: the list above has forgotten nobody."""
    assert any(runs_on(module, case) for module in OTHER_SIZES for case in CASES if case.op == op)


@settings(max_examples=40)
@given(n=st.integers(1, 40), start=st.integers(0, 2**40), key=st.integers(0, 2**64 - 1), layer=st.integers(0, 99), site=st.integers(0, 3),
       rate=st.floats(1e-6, 0.999), wide=st.booleans())
def test_dropout_is_numpys_bit_for_bit(n, start, key, layer, site, rate, wide):
    x = np.random.default_rng(n).standard_normal(n).astype("float32" if wide else bfloat16)
    mine, cache = KERNELS.dropout.forward(x, rate, key, layer, site, start)
    other, _ = REFERENCE.dropout.forward(x, rate, key, layer, site, start)
    assert mine.tobytes() == other.tobytes()
    assert KERNELS.dropout.backward(x, cache)[0].tobytes() == other.tobytes()
    in_memory, cache = KERNELS.dropout.forward(x, rate, np.array([key], np.uint64), layer, site, np.array(start))
    assert in_memory.tobytes() == KERNELS.dropout.backward(x, cache)[0].tobytes() == other.tobytes()


def test_dropout_reads_key_and_place_when_it_runs():
    """So that a graph of launches, made once, draws another mask when the numbers have changed."""
    if DEVICE != "emulator":
        pytest.skip("the tests' arrays are carried over at each call")
    x, key, start = np.ones(100, np.float32), np.zeros(1, np.uint64), np.zeros((), np.int64)
    _, cache = KERNELS.dropout.forward(x, 0.5, key, start=start)
    for key[0], start[...] in ((0, 0), (1, 0), (1, 7)):
        assert KERNELS.dropout.backward(x, cache)[0].tobytes() == REFERENCE.dropout.forward(x, 0.5, int(key[0]), start=int(start))[0].tobytes()


@pytest.mark.parametrize("op, n", [("embedding", 1), ("learned_positions", 1), ("linear", 2)])
@DTYPES
def test_a_weights_gradient_is_added_to_what_is_given(op, n, dtype):
    """As the whole of the reference's gradient; also where the array given is a view that the kernels can't take."""
    for case in (case for case in CASES if case.op == op):
        _, without = both_passes(getattr(KERNELS, op), case, dtype)
        y, cache = getattr(KERNELS, op).forward(*case.arrays(dtype), **case.options)
        for strided in (False, True):
            start = [None if g is None else np.full(g.shape, 0.5, np.float32) for g in without[-n:]]
            into = [None if x is None else np.repeat(x, 2, axis=-1)[..., ::2] if strided else x.copy() for x in start]
            collected = getattr(KERNELS, op).backward(case.upstream(y), cache, into=tuple(into) if op == "linear" else into[0])
            for got, gradient, before, array in zip(collected[-n:], without[-n:], start, into, strict=True):
                assert before is None and got is None or got is array and np.allclose(array, before + gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op, kernel", [("embedding", "embedding_backward"), ("learned_positions", "sum_over_sequences")])
def test_packs_are_added_only_to_a_gradient_that_begins_where_packs_do(op, kernel, monkeypatch):
    """A GPU would stop, and so may this processor: so the launch is only looked at."""
    packs = []
    monkeypatch.setattr(Launcher, "__call__", lambda self, file, name, *rest, **given: packs.append((name, given.get("pack"))))
    case = next(case for case in CASES if case.op == op and case.name == "packs")
    y, cache = getattr(KERNELS, op).forward(*case.arrays(np.dtype("float32")), **case.options)
    for offset in (0, 1):
        getattr(KERNELS, op).backward(case.upstream(y), cache, into=embedded(np.zeros(case.inputs[1], np.float32), offset))
    assert [pack for name, pack in packs if name == kernel] == [4, 1]


def test_a_row_of_an_embedding_sums_its_places_in_their_order():
    """1 + 2⁻²⁴ + 2⁻²⁴ is 1 in float32 from the left, and more from the right."""
    dy = np.array([[1], [2**-24], [2**-24]], np.float32)
    _, cache = KERNELS.embedding.forward(np.array([1, 1, 1]), np.zeros((2, 1), np.float32))
    assert KERNELS.embedding.backward(dy, cache)[0].tolist() == [[0], [1]]


@settings(max_examples=40)
@given(ids=st.lists(st.integers(-2, 40), min_size=1, max_size=40), v=st.integers(1, 40), bits=st.integers(1, 8), chunk=st.integers(1, 50))
def test_ids_are_sorted_and_equal_ones_keep_their_order(ids, v, bits, chunk):
    before, sort.BITS, sort.CHUNK = (sort.BITS, sort.CHUNK), bits, chunk
    try:
        rows, order = map(lower, sort.sorted_rows(TABLE.launch, lift(np.array(ids)), v))
    finally:
        sort.BITS, sort.CHUNK = before
    called = np.array([id if 0 <= id < v else v for id in ids])
    assert order.tolist() == np.argsort(called, kind="stable").tolist() and rows.tolist() == sorted(called)


@pytest.mark.parametrize("what", outside.EVERY, ids=lambda function: function.__name__)
@DTYPES
def test_ids_without_a_row_give_nan_and_read_nothing_beside_the_arrays(what, dtype):
    with no_fallback(), emulator.settings(checked=True), poisoned_outputs():
        what(KERNELS, dtype)


def test_more_positions_than_the_table_has_are_refused():
    with pytest.raises(ValueError, match="4 positions were asked for, but the table of learned positions has 3 rows"):
        KERNELS.learned_positions.forward(np.ones((1, 4, 2), np.float32), np.ones((3, 2), np.float32))


@DTYPES
def test_a_row_of_minus_infinity_has_probabilities_of_zero_and_nan_is_not_lost(dtype):
    x = np.array([[-np.inf, -np.inf], [-np.inf, 1], [np.nan, 1], [3e38, -3e38]], dtype)
    y, cache = KERNELS.softmax.forward(x)
    assert y[:2].tolist() == [[0, 0], [0, 1]] and np.isnan(y[2].astype(float)).all() and y[3].tolist() == [1, 0]
    assert not KERNELS.softmax.backward(np.ones_like(x), cache)[0][:2].any()


@pytest.mark.parametrize("offset", [0, 1], ids=["aligned", "not aligned"])
@pytest.mark.parametrize("shape", [(1,), (3, 7), (2, 3, 400), (0, 4)], ids=str)
@DTYPES
def test_the_tables_sum_is_the_plain_one(shape, offset, dtype):
    a, b = np.random.default_rng(0).standard_normal((2, *shape)).astype(dtype)
    with no_fallback(), emulator.settings(checked=True), poisoned_outputs(offset):
        y = lower(TABLE.add(lift(embedded(a, offset)), lift(embedded(b, offset))))
    assert sum_of(TABLE) is TABLE.add and y.tobytes() == (a + b).tobytes() and y.shape == shape


def test_the_tables_sum_of_what_kernels_can_not_take_is_the_plain_one():
    a, b = np.random.default_rng(0).standard_normal((2, 4, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert np.array_equal(lower(TABLE.add(lift(a), lift(b))), a + b)
    wide = np.repeat(a.astype(np.float32), 2, axis=-1)[:, ::2]
    assert np.array_equal(lower(TABLE.add(lift(wide), lift(wide.copy()))), wide + wide)
    assert np.array_equal(lower(TABLE.add(lift(wide), lift(wide[:1]))), wide + wide[:1])


def test_a_model_on_kernels_makes_its_sums_there():
    """Also on a table in which an operation was replaced; the reference has +."""
    assert sum_of(TABLE.replace(rmsnorm=REFERENCE.rmsnorm)) is TABLE.add and sum_of(REFERENCE) is operator.add


# --- the table --------------------------------------------------------------------------------------------------------------------

def test_the_table_has_all_fields_of_the_reference_and_the_updates():
    assert isinstance(KERNELS, Ops)
    for name in Ops.names():
        op = getattr(KERNELS, name)
        assert callable(op.forward) and callable(op.backward) and callable(op.flops)
    for name in ("sgd", "adam", "adamw", "square_norm", "clip", "average", "cast"):
        assert callable(getattr(KERNELS, name))
    changed = KERNELS.replace(rmsnorm=REFERENCE.rmsnorm)
    assert changed.rmsnorm is REFERENCE.rmsnorm and changed.adamw is KERNELS.adamw
    assert changed.add_rmsnorm.norm is REFERENCE.rmsnorm, "what is fused from a replaced operation is composed anew"


@pytest.mark.parametrize("dtype, what", [("float64", "float64"), ("float16", "float16")])
def test_what_the_kernels_can_not_do_the_reference_does_after_one_warning(dtype, what):
    op, case = fresh().rmsnorm, next(case for case in CASES if case.op == "rmsnorm")
    with pytest.warns(RuntimeWarning, match=f"The kernels of RMSNorm can't take arrays of {what}: the reference code computes them") as told:
        for _ in range(3):
            result = both_passes(op, case, np.dtype(dtype))
    assert len(told) == 1
    same_as_the_reference(result, both_passes(case.operation, case, np.dtype(dtype)))


def test_no_numbers_at_all_need_no_kernel():
    with no_fallback():
        y, cache = KERNELS.rmsnorm.forward(np.zeros((0, 5), np.float32), np.ones(5, np.float32))
        dx, dw = KERNELS.rmsnorm.backward(y, cache)
    assert y.shape == dx.shape == (0, 5) and not dw.any()


def test_arrays_that_do_not_lie_in_one_piece_are_copied_first():
    case = next(case for case in CASES if case.op == "rmsnorm")
    strided = lambda x: np.repeat(x, 2, axis=-1)[..., ::2]                   # noqa: E731
    op = KERNELS.rmsnorm
    assert same_bits(both_passes(op, case, np.dtype("float32"), strided), both_passes(op, case, np.dtype("float32")))
