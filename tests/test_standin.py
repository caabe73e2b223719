"""The stand-in refuses what CuPy refuses or would do slowly, and computes the rest as NumPy does."""

import math

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import cupy  # noqa: E402
import standin  # noqa: E402

from minillm import arrays  # noqa: E402

VALUES = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
BF16 = arrays.bfloat16


@pytest.fixture
def x():
    return standin.asarray(VALUES)


def test_xp_finds_the_stand_in(x):
    assert arrays.xp(x) is standin
    assert not isinstance(x, np.ndarray)


@pytest.mark.parametrize("compute", [
    lambda np, x: x + 1, lambda np, x: 1 - x, lambda np, x: x @ x.T, lambda np, x: -x ** 2, lambda np, x: x >= 2, lambda np, x: x == x,
    lambda np, x: np.exp(x).sum(-1, keepdims=True), lambda np, x: x.mean(0), lambda np, x: x.max(), lambda np, x: x[:, None, 1:],
    lambda np, x: x.reshape(-1)[::2], lambda np, x: x.transpose(1, 0), lambda np, x: x.swapaxes(-1, -2), lambda np, x: x[-1, 0],
    lambda np, x: np.where(x > 2, x, 0), lambda np, x: np.stack([x, x], axis=1), lambda np, x: np.concatenate((x, x)),
    lambda np, x: np.arange(5), lambda np, x: np.zeros((2, 2), "float32"), lambda np, x: np.full(3, np.inf), lambda np, x: len(x),
    lambda np, x: np.take_along_axis(x, np.arange(2)[:, None], -1), lambda np, x: np.maximum(x, 3), lambda np, x: np.divmod(x, 2),
    lambda np, x: x.astype("float64"), lambda np, x: x[np.arange(2), np.arange(2)], lambda np, x: np.float32(2) * x,
    lambda np, x: np.broadcast_to(x, (4, 2, 3)), lambda np, x: np.add.reduce(x, axis=1), lambda np, x: [row * 2 for row in x],
    lambda np, x: (x.shape, x.ndim, x.size, x.dtype),
])
def test_what_is_allowed_computes_what_numpy_computes(compute, x):
    ours, theirs = standin.to_numpy(compute(standin, x)), compute(np, VALUES)
    np.testing.assert_equal(ours, theirs)
    assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)


def test_a_single_number_stays_an_array(x):
    assert isinstance(x.sum(), standin.ndarray) and isinstance(x[0, 0], standin.ndarray)


def test_writing_reaches_the_array_that_a_view_is_of(x):
    x.T[0] += 10
    x[:, 1:] = 0
    x[x > 11] = -1
    assert np.array_equal(standin.to_numpy(x), [[11, 0, 0], [-1, 0, 0]])
    assert VALUES[0, 0] == 1, "asarray copies"


def test_astype_without_a_copy_is_the_array_itself(x):
    assert x.astype(np.float32, copy=False) is x
    assert x.astype(np.float32) is not x


def test_add_at_counts_repeated_ids(x):
    target = standin.asarray(np.zeros((3, 3), np.float32))
    arrays.add_at(target, standin.asarray(np.array([1, 1])), x)
    assert np.array_equal(standin.to_numpy(target), [[0, 0, 0], [5, 7, 9], [0, 0, 0]])
    with pytest.raises(TypeError, match="no atomic operation for int64"):
        standin.add.at(standin.asarray(np.zeros(3, np.int64)), standin.asarray(np.array([1])), 1)


# --- names and signatures ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["fromnumeric", "float128", "vectorize_all", "in_threads", "to_numpies"])
def test_a_name_that_cupy_lacks(name):
    assert not hasattr(cupy, name)
    with pytest.raises(AttributeError, match=f"has no {name}"):
        getattr(standin, name)


def test_what_numpy_has_and_cupy_has_not():
    lacking = {name for name in np.__all__ if not hasattr(cupy, name)}
    assert lacking, "CuPy has all of NumPy by now?"
    for name in sorted(lacking - {"strict_dtypes"}):
        with pytest.raises(AttributeError):
            getattr(standin, name)
    with pytest.raises(AttributeError, match="arrays have no"):
        standin.asarray(VALUES).newbyteorder


@pytest.mark.parametrize("call", [
    lambda x: standin.sum(x, where=x > 2), lambda x: standin.sum(x, initial=0.0), lambda x: x.sum(-1, where=x > 2),
    lambda x: x.max(-1, initial=0.0), lambda x: standin.exp(x, where=x > 2), lambda x: standin.exp(x, subok=False),
    lambda x: standin.exp(x, order="C"), lambda x: standin.exp(), lambda x: standin.add(x), lambda x: standin.add(x1=x, x2=x),
    lambda x: standin.broadcast_to(x, (4, 2, 3), subok=True), lambda x: standin.zeros(3, like=x), lambda x: standin.take_along_axis(x),
    lambda x: standin.add.reduce(x, initial=1), lambda x: standin.arange(3, device="cpu"), lambda x: x.swapaxes(0),
])
def test_an_argument_that_cupys_function_does_not_take(call, x):
    with pytest.raises(TypeError, match="CuPy's .* was called with other arguments"):
        call(x)


def test_every_signature_of_cupy_can_be_read():
    assert all(standin.ufunc(name)._signature for name in dir(cupy) if isinstance(getattr(cupy, name), cupy.ufunc) and hasattr(np, name))
    methods = [getattr(cupy.ndarray, name) for name in dir(cupy.ndarray) if name[0] != "_"]
    assert all(standin._documented(method.__doc__) for method in methods if callable(method))
    assert list(standin._documented(cupy.ndarray.sum.__doc__).parameters) == ["self", "axis", "dtype", "out", "keepdims"]


# --- refusals ----------------------------------------------------------------------------------------------------------------

HOST = VALUES.copy()


@pytest.mark.parametrize("mix", [
    lambda x: x + HOST, lambda x: HOST + x, lambda x: HOST @ x.T, lambda x: x @ HOST.T, lambda x: standin.exp(HOST),
    lambda x: standin.where(x > 2, x, HOST), lambda x: standin.concatenate([x, HOST]), lambda x: standin.maximum(x, np.array(0)),
    lambda x: x == HOST, lambda x: np.add(x, HOST), lambda x: np.concatenate([x, HOST]), lambda x: x[np.array([0, 1])], lambda x: x[[0, 1]],
    lambda x: x.__setitem__(0, HOST[0]), lambda x: x.__iadd__(HOST), lambda x: HOST.__iadd__(x), lambda x: x.clip(HOST, None),
])
def test_no_mixing_with_numpy_arrays(mix, x):
    with pytest.raises(TypeError):
        mix(x)


@pytest.mark.parametrize("convert", [np.asarray, np.array, lambda x: np.float32(x), lambda x: HOST.copy().__setitem__(slice(None), x),
                                     lambda x: standin.exp([1.0, 2.0])])
def test_no_implicit_conversion(convert, x):
    with pytest.raises(TypeError):
        convert(x)


@pytest.mark.parametrize("wait", [
    bool, float, int, str, complex, lambda x: range(3)[x], lambda x: x.item(), lambda x: x.get(), lambda x: x.tolist(), lambda x: f"{x}",
    lambda x: standin.asnumpy(x), lambda x: x.nonzero(), lambda x: standin.unique(x), lambda x: standin.where(x > 0), lambda x: 1 in x,
    lambda x: standin.asarray(HOST)[standin.asarray(HOST) > 2], lambda x: list(standin.asarray(HOST[0])), lambda x: max(x, x + 1),
    lambda x: standin.flatnonzero(x), lambda x: x if x > 0 else 0, lambda x: x.tobytes(), lambda x: standin.bincount(x),
])
def test_nothing_waits_for_the_gpu(wait):
    with pytest.raises(standin.HostSynchronisation, match="host"):
        wait(standin.asarray(np.float32(3)))


# --- dtypes --------------------------------------------------------------------------------------------------------------------

MIXED = {
    "operator": lambda x: x + x.astype("float64"), "in place": lambda x: x.__imul__(x.astype("float64")), "matmul": lambda x: x @ x.astype("float64").T,
    "where": lambda x: standin.where(x > 0, x, x.astype("float64")), "stack": lambda x: standin.stack([x, x.astype("float16")]),
    "writing": lambda x: x.__setitem__(0, x[0].astype("float64")), "ints": lambda x: x * standin.arange(3), "numpy's scalar": lambda x: x * np.float64(2),
    "bfloat16": lambda x: x + x.astype(BF16), "at": lambda x: standin.add.at(x, standin.arange(2), x.astype("float64")),
}


@pytest.mark.parametrize("mix", MIXED.values(), ids=MIXED)
def test_strict_dtypes_refuse_a_silent_change_of_dtype(mix):
    mix(standin.asarray(VALUES))
    with standin.strict_dtypes(), pytest.raises(TypeError, match="cast explicitly"):
        mix(standin.asarray(VALUES))
    mix(standin.asarray(VALUES))


def test_strict_dtypes_allow_one_dtype_python_numbers_comparisons_and_casts(x):
    with standin.strict_dtypes():
        for y in (x * 2 + 1.5, standin.where(x > 2, x, 0), x.astype("float64") * x.astype("float64"), (x > 2) * x, x @ x.T,
                  x.astype(BF16) * 2.5, standin.arange(4) / 2, np.float32(3) * x):
            assert isinstance(y, standin.ndarray)


def test_bfloat16_as_cupy_has_it(x):
    b = x.astype(BF16)
    assert (b + 1.5).dtype == BF16 and (b @ b.T).dtype == BF16 and standin.exp(b).dtype == BF16
    assert (b + np.float32(1)).dtype == np.float32
    with pytest.raises(TypeError, match="batches of bfloat16"):
        b[None] @ b.T
    with pytest.raises(TypeError, match="no bfloat16 in CuPy"):
        standin.bitwise_count(b)


def test_erf_is_found_where_arrays_look_for_it(x):
    with standin.special_functions():
        assert np.allclose(standin.to_numpy(arrays.erf(x)), np.vectorize(math.erf)(VALUES), rtol=0, atol=1e-7)
        with pytest.raises(TypeError, match="NumPy array"):
            import cupyx.scipy.special
            cupyx.scipy.special.erf(VALUES)
    import cupyx.scipy.special
    assert isinstance(cupyx.scipy.special.erf, cupy.ufunc), "the real one is back"
