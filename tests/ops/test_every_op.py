"""What every operation promises, on every case of cases.py: its gradient, its purity, its precision and its cost."""

import inspect

import numpy as np
import pytest
from ops.cases import CASES
from watched import Strict, everywhere

import minillm
from minillm.arrays import bfloat16, wide
from minillm.cost.counting import Count, Tally, counting
from minillm.cost.watching import watching
from minillm.ops import REFERENCE, softmax

EVERY = pytest.mark.parametrize("case", CASES, ids=str)
WEIGHTS = {"w", "b", "weights0", "weights1"}     # their gradients are float32 also for 16-bit arrays

# How far a whole result may be away from the exact one, as a share of its norm: some roundings of its dtype.
PRECISIONS = {"float32": 16 * 2**-24, "float16": 8 * 2**-11, "bfloat16": 8 * 2**-8}


def float_names(case):
    """The names of forward's float arrays, absent ones included, in order."""
    names = []
    for parameter in inspect.signature(case.operation.forward).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{i}" for i in range(len(case.inputs) - len(names))]
        elif len(names) < len(case.inputs) or parameter.name == "b":
            names.append(parameter.name)
    present = [*case.inputs, *[None] * (len(names) - len(case.inputs))]
    return [(name, x) for name, x in zip(names, present, strict=True) if not isinstance(x, np.ndarray)]


@EVERY
def test_gradients(case):
    """Every input and every weight, against measured slopes."""
    report = minillm.gradient_check(case.operation, *case.arrays(), zeros=case.zeros, output=case.differentiated, **case.options)
    assert report.ok, f"{case}\n{report}"
    assert {row.name for row in report.rows} == {name for name, x in float_names(case) if x is not None}


@EVERY
def test_arguments_and_cache_are_left_alone_and_backward_can_run_twice(case):
    def read_only(x):
        x.flags.writeable = False
        return x

    arrays = case.arrays()
    given = tuple(read_only(x.copy()) if x is not None else x for x in arrays)
    y, cache = case.operation.forward(*given, **case.options)
    dy = everywhere(read_only, case.upstream(y))
    before = everywhere(np.copy, (y, dy, cache))
    everywhere(read_only, cache)
    first = everywhere(np.copy, case.operation.backward(dy, cache))
    second = case.operation.backward(dy, cache)
    assert same_bits(first, second), f"{case}: backward gave different gradients the second time"
    assert same_bits(tuple(arrays), given), f"{case}: an argument was changed"
    assert same_bits(before, (y, dy, cache)), f"{case}: backward changed its cache, its dy or the output"


def same_bits(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same_bits, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a is b or a == b


@EVERY
def test_backward_returns_one_gradient_for_each_float_array(case):
    arrays = case.arrays()
    y, cache = case.operation.forward(*arrays, **case.options)
    gradients = case.operation.backward(case.upstream(y), cache)
    assert isinstance(gradients, tuple)
    if case.op == "add_layernorm" and len(arrays) == 3:
        gradients = gradients[:3]                # the norm's bias wasn't even mentioned, and has a None behind
    assert [None if g is None else g.shape for g in gradients] == [x for _, x in float_names(case)]


@pytest.mark.parametrize("case", [case for case in CASES if "into" in inspect.signature(case.operation.backward).parameters], ids=str)
def test_gradients_are_added_to_the_arrays_given_for_them(case):
    arrays = case.arrays()
    y, cache = case.operation.forward(*arrays, **case.options)
    dy = case.upstream(y)
    without = case.operation.backward(dy, cache)
    rng = np.random.default_rng(5)
    start = [None if g is None or i + 1 < len(without) - (case.op == "linear") else rng.standard_normal(g.shape)
             for i, g in enumerate(without)]
    into = [None if x is None else x.copy() for x in start]
    weights = tuple(into[1:]) if case.op == "linear" else into[-1]
    collected = case.operation.backward(dy, cache, into=weights)
    for got, gradient, before, array in zip(collected, without, start, into, strict=True):
        if before is None:
            assert same_bits(got, gradient)
        else:
            assert got is array, "the gradient must come back as the very array it was added to"
            assert np.allclose(got, before + gradient, rtol=0, atol=1e-14)


# --- precision ------------------------------------------------------------------------------------------------------------------------

@EVERY
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_precision_stays_what_it_is(case, dtype):
    """Dtype in = dtype out; losses, statistics and gradients of weights are float32 for 16 bits; nothing is mixed inside, and
    the result is the float64 result, up to rounding."""
    dtype = np.dtype(dtype) if dtype != "bfloat16" else bfloat16
    arrays = case.arrays(dtype)
    strict = [x.view(Strict) if isinstance(x, np.ndarray) else x for x in arrays]
    with watching(Strict):
        y, cache = case.operation.forward(*strict, **case.options)
    dy = case.upstream(y)
    with watching(Strict):
        gradients = case.operation.backward(everywhere(lambda x: x.view(Strict), dy), cache)

    sums = wide(np.zeros(1, dtype)).dtype
    for part in y if isinstance(y, tuple) else (y,):
        assert part.dtype == (sums if case.is_loss else dtype)
    for (name, x), gradient in zip(float_names(case), gradients, strict=False):
        assert x is None or gradient.dtype == (sums if name in WEIGHTS else dtype), name
    if dtype == np.float64:
        return

    exactly = everywhere(lambda x: x.astype("float64") if x.dtype == dtype else x, tuple(arrays))
    exact, cache = case.operation.forward(*exactly, **case.options)
    exact_gradients = case.operation.backward(everywhere(lambda x: x.astype("float64"), dy), cache)
    assert_close(y, exact, PRECISIONS[dtype.name])
    assert_close(gradients, exact_gradients, PRECISIONS[dtype.name])


def assert_close(found, exact, share):
    """Each array of a tuple to a share of its own size; or, where it vanishes, of the largest one's."""
    pairs = [(f, e) for f, e in zip(found, exact, strict=True) if e is not None] if isinstance(exact, tuple) else [(found, exact)]
    largest = max(np.linalg.norm(e) for _, e in pairs)
    for found, exact in pairs:
        error, size = np.linalg.norm(found.view(np.ndarray).astype("float64") - exact), np.linalg.norm(exact)
        size = size if size > 1e-12 * largest else largest
        assert error <= share * size, f"{error:.1e} away from the exact result, of size {size:.1e}; allowed is a share of {share:.1e}"


# --- cost -----------------------------------------------------------------------------------------------------------------------------

TABLES = {"attention": REFERENCE, "plain_attention": REFERENCE.replace(softmax=softmax)}


def claim_and_count(case):
    """What the case claims and what is counted, forward and backward."""
    shapes = [None if x is None else np.shape(x) for x in case.arrays()]
    options = {name: x.shape if isinstance(x, np.ndarray) else x for name, x in case.options.items()}
    claim, count = case.operation.flops(*shapes, **options), Count()
    op = getattr(counting(TABLES.get(case.op, REFERENCE), count), case.op.removeprefix("plain_"))
    y, cache = op.forward(*case.arrays(), **case.options)
    op.backward(case.upstream(y), cache)
    return [(work, count.by_phase.get(phase, Tally())) for work, phase in ((claim.forward, "forward"), (claim.backward_total, "backward"))]


@EVERY
def test_claimed_matrix_products_are_those_executed(case):
    for claim, counted in claim_and_count(case):
        assert claim.matmul == counted.matmul


@EVERY
def test_claimed_elementwise_work_is_what_is_executed(case):
    for claim, counted in claim_and_count(case):
        assert claim.elementwise == counted.elementwise
