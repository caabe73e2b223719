"""Every operation runs on CuPy's arrays as it does on NumPy's: on the stand-in, which refuses what a GPU refuses.

Each case runs forward and backward twice, on NumPy arrays and on the stand-in's, and compares every number.
"""

import inspect

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import standin  # noqa: E402

from minillm.arrays import bfloat16  # noqa: E402
from minillm.ops import REFERENCE  # noqa: E402
from minillm.ops.rope import LinearScaling, Llama3Scaling  # noqa: E402

random = np.random.default_rng(0)
b, t, s, d, h, k, e, v = 2, 5, 7, 6, 4, 2, 6, 11


def floats(*shape):
    return random.normal(size=shape).astype(np.float32)


def ints(below, *shape):
    return random.integers(0, below, shape)


q, keys, values = floats(b, t, h, e), floats(b, s, k, e), floats(b, s, k, e)
mask = random.random((b, h, t, s)) < 0.6
mask[0, 0, 1] = False                            # a query that sees nothing
documents = np.sort(ints(3, b, s))
targets = ints(v, b, t)
targets[0, 1] = -100
all_targets = ints(v, b, t)                      # without a -100, for another number that is ignored
all_targets[1, 2] = 3

# For each operation: lists of arguments and options, which together say every option.
CASES = {
    "linear": [([floats(b, t, d), floats(d, 3)], {}), ([floats(b, t, d), floats(d, 3), floats(3)], {})],
    "embedding": [([ints(v, b, t), floats(v, d)], {})],
    "rmsnorm": [([floats(b, t, d), floats(d)], {"eps": 1e-3})],
    "layernorm": [([floats(b, t, d), floats(d)], {}), ([floats(b, t, d), floats(d), floats(d)], {"eps": 1e-3})],
    "rope": [([q], {}), ([q], {"pairing": "interleaved", "theta": 500.0}), ([q], {"positions": ints(99, t)}),
             ([q], {"positions": ints(99, b, t), "scaling": LinearScaling(4.0)}),
             ([q], {"scaling": Llama3Scaling(original_max_seq_len=64)})],
    "sinusoidal": [([floats(b, t, d)], {}), ([floats(b, t, d - 1)], {"positions": ints(99, t), "theta": 100.0}),
                   ([floats(b, t, d)], {"positions": ints(99, b, t)})],
    "learned_positions": [([floats(b, t, d), floats(9, d)], {}), ([floats(b, t, d), floats(9, d)], {"positions": ints(9, t)}),
                          ([floats(b, t, d), floats(9, d)], {"positions": ints(9, b, t)})],
    "softmax": [([floats(b, t, d)], {})],
    "attention": [([q, keys, values], options) for options in (
        {}, {"causal": False}, {"window": 3}, {"window": 2, "causal": False, "block": 2}, {"block": 2}, {"documents": documents},
        {"mask": mask}, {"mask": mask[:1, :1], "causal": False}, {"scale": 0.3, "keep_probabilities": True, "block": 3})],
    "relu": [([floats(b, d)], {})],
    "gelu": [([floats(b, d)], {}), ([floats(b, d)], {"tanh": True})],
    "silu": [([floats(b, d) * 50], {})],
    "swiglu": [([floats(b, t, d), floats(b, t, d)], {})],
    "dropout": [([floats(b, t, d)], {"rate": 0.0, "key": 1}),
                ([floats(b, t, d)], {"rate": 0.4, "key": 2**63 + 5, "layer": 3, "site": 1, "start": 7})],
    "cross_entropy": [([floats(b, t, v), targets], options) for options in (
        {}, {"label_smoothing": 0.1}, {"z_loss": 1e-2}, {"denominator": 7.0})]
    + [([floats(b, t, v), all_targets], {"ignore": 3, "label_smoothing": 0.2, "z_loss": 1e-3})],
    "linear_cross_entropy": [([floats(b, t, d), floats(v, d), targets], options) for options in (
        {}, {"chunk": 3}, {"label_smoothing": 0.1, "z_loss": 1e-2}, {"denominator": 7.0})]
    + [([floats(b, t, d), floats(v, d), all_targets], {"ignore": 3})],
    "add_rmsnorm": [([floats(b, t, d), floats(b, t, d), floats(d)], {"eps": 1e-3})],
    "add_layernorm": [([floats(b, t, d), floats(b, t, d), floats(d), floats(d)], {})],
}
COLLECTS = {"linear": lambda x, w, bias=None: (w, bias), "embedding": lambda ids, w: w, "learned_positions": lambda x, w: w,
            "linear_cross_entropy": lambda x, w, targets: w}                 # the weights whose gradients backward can add to
LOSSES = ("cross_entropy", "linear_cross_entropy")                           # answer (loss, nll), and take the gradient of the loss

EVERY = pytest.mark.parametrize("name, arrays, options", [
    pytest.param(name, arrays, options, id=f"{name} {' '.join(options)} {i}")
    for name, cases in CASES.items() for i, (arrays, options) in enumerate(cases)])


def lifted(value):
    return standin.asarray(value) if isinstance(value, np.ndarray) else value


def upstream(y, dtype):
    random = np.random.default_rng(1)
    if isinstance(y, tuple):
        return tuple(upstream(one, dtype) for one in y)
    return random.normal(size=y.shape).astype(np.float32).astype(dtype)


def both_ways(op, name, arrays, options, lift, dtype=np.float32, into=False):
    """The outputs and all gradients, on the arrays that `lift` makes."""
    arrays = [array.astype(dtype) if array.dtype == np.float32 else array for array in arrays]
    y, cache = op.forward(*map(lift, arrays), **{key: lift(value) for key, value in options.items()})
    dy = np.array(0.7, np.float64 if dtype == np.float64 else np.float32) if name in LOSSES else upstream(y, dtype)
    dy = tuple(map(lift, dy)) if isinstance(dy, tuple) else lift(dy)
    if not into:
        return y, op.backward(dy, cache)
    weights = COLLECTS[name](*arrays)
    several = isinstance(weights, tuple)
    collected = tuple(None if w is None else lift(np.ones(w.shape, np.float32)) for w in (weights if several else (weights,)))
    return y, op.backward(dy, cache, into=collected if several else collected[0])


def assert_same(ours, theirs, tolerance=2e-6):
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other, tolerance)
    elif theirs is None:
        assert ours is None
    else:
        assert isinstance(ours, standin.ndarray), f"{type(ours)} came back, not an array on the GPU"
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        mine, other = standin.to_numpy(ours).astype(np.float64), np.asarray(theirs).astype(np.float64)
        assert np.all(np.isfinite(other))
        difference, scale = np.abs(mine - other).max(initial=0), np.abs(other).max(initial=1e-6)
        assert difference <= tolerance * scale, f"{difference} apart, of {scale}"


def test_every_operation_and_every_option_has_a_case():
    assert set(CASES) == set(REFERENCE.names())
    for name, cases in CASES.items():
        parameters = inspect.signature(getattr(REFERENCE, name).forward).parameters.values()
        options = {p.name for p in parameters if p.default is not p.empty} - {"b", "gradients"}
        said = {option for _, given in cases for option in given}
        assert options <= said, f"{name} is never run with {options - said}"


@EVERY
def test_the_same_numbers_on_cupy_arrays(name, arrays, options):
    op = getattr(REFERENCE, name)
    theirs = both_ways(op, name, arrays, options, lambda x: x)
    with standin.special_functions():
        assert_same(both_ways(op, name, arrays, options, lifted), theirs)


@EVERY
def test_the_same_numbers_on_cupy_arrays_in_bfloat16(name, arrays, options):
    op = getattr(REFERENCE, name)
    theirs = both_ways(op, name, arrays, options, lambda x: x, bfloat16)
    with standin.special_functions():
        assert_same(both_ways(op, name, arrays, options, lifted, bfloat16), theirs, tolerance=2**-7)


@pytest.mark.parametrize("name", COLLECTS)
def test_weight_gradients_are_added_to_cupy_arrays(name):
    op = getattr(REFERENCE, name)
    for arrays, options in CASES[name]:
        theirs = both_ways(op, name, arrays, options, lambda x: x, into=True)
        assert_same(both_ways(op, name, arrays, options, lifted, into=True), theirs)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64, bfloat16], ids=["float32", "float64", "bfloat16"])
def test_no_operation_mixes_dtypes_unless_it_says_so(name, arrays, options, dtype):
    with standin.strict_dtypes(), standin.special_functions():
        y, gradients = both_ways(getattr(REFERENCE, name), name, arrays, options, lifted, dtype)
    if dtype == np.float32:
        assert all(one.dtype == dtype for one in (*(y if isinstance(y, tuple) else (y,)), *gradients) if one is not None)


@pytest.mark.parametrize("options", [options for _, options in CASES["attention"]], ids=lambda options: " ".join(options) or "causal")
def test_attention_composed_from_a_softmax_runs_on_cupy_arrays(options):
    op = REFERENCE.replace(softmax=REFERENCE.softmax).attention
    arrays = [q, keys, values]
    assert_same(both_ways(op, "attention", arrays, options, lifted), both_ways(op, "attention", arrays, options, lambda x: x))
