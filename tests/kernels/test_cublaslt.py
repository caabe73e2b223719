"""The binding to cuBLASLt, without a GPU: its numbers against NVIDIA's headers, its descriptors read back from the real library, and the
products that they describe computed by a stand-in (standin_cublaslt.py), for arrays that lie in memory in every possible way."""

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import standin  # noqa: E402
import standin_cublaslt  # noqa: E402
from hypothesis import example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from minillm.arrays import bfloat16  # noqa: E402
from minillm.kernels import EMULATED  # noqa: E402
from minillm.kernels.launcher import GPU, Launcher  # noqa: E402
from minillm.kernels.products import cublaslt, plans  # noqa: E402

DTYPES = [np.dtype("float32"), bfloat16, np.dtype("float16")]
STANDIN = GPU._replace(arrays="standin")


@pytest.fixture
def library():
    with standin_cublaslt.installed() as library, warnings.catch_warnings():
        warnings.simplefilter("error")
        yield library


@pytest.fixture
def launch(library):
    return Launcher(STANDIN)


# --- arrays that lie in memory in every way ------------------------------------------------------------------------------------

def laid(shape, dtype, how="plain", offset=0, seed=0):
    """(array on the stand-in, its memory as NumPy sees it). Whole numbers, whose products every dtype can hold; NaN around them."""
    rows, columns = shape[-2:] if "turned" not in how else shape[:-3:-1]
    wider = columns + 3 if "wide" in how else columns
    step = 2 if "stepped" in how else 1
    extent = (*shape[:-2], rows, wider * step)
    memory = standin.full(offset + int(np.prod(extent)), np.nan, dtype)
    x = memory[offset:].reshape(extent)[..., :columns * step:step]
    x = x.swapaxes(-1, -2) if "turned" in how else x
    x = x[..., ::-1, :] if "backwards" in how else x
    x[...] = standin.asarray(np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype))
    return x, memory


WAYS = ["plain", "turned", "wide", "turned wide"]            # the library reads these where they lie
OTHERS = ["stepped", "backwards", "turned stepped"]          # and not these
SIZES = st.integers(1, 9)
LEADING = st.sampled_from([((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), ()), ((), (3,)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 1), (1, 3)),
                           ((1, 1), (1,))])


@settings(max_examples=300)
@given(m=SIZES, k=SIZES, n=SIZES, leading=LEADING, how=st.tuples(*[st.sampled_from(WAYS * 2 + OTHERS)] * 3), dtype=st.sampled_from(DTYPES),
       result=st.sampled_from(["same", "float32", "added to float32", "added to the same"]), bias=st.booleans(), tf32=st.booleans(),
       offsets=st.tuples(*[st.sampled_from([0, 8, 3])] * 4))
@example(m=1, k=1, n=1, leading=((), ()), how=("plain",) * 3, dtype=bfloat16, result="same", bias=True, tf32=True, offsets=(1, 1, 1, 1))
def test_a_product_of_arrays_that_lie_anyhow_is_numpys(m, k, n, leading, how, dtype, result, bias, tf32, offsets):
    with standin_cublaslt.installed() as library, warnings.catch_warnings():
        warnings.simplefilter("error")
        launch = Launcher(STANDIN, tf32)
        (a, _), (b, _) = laid((*leading[0], m, k), dtype, how[0], offsets[0], 1), laid((*leading[1], k, n), dtype, how[1], offsets[1], 2)
        expected = exact(a) @ exact(b)
        if result.startswith("added"):
            into, memory = laid(expected.shape, dtype if "same" in result else "float32", how[2], offsets[2], 3)
            before, spoiled = exact(into), np.isnan(exact(memory))
            assert launch.multiply(a, b, into=into) is into
            assert np.array_equal(exact(into), before + expected) and np.array_equal(np.isnan(exact(memory)), spoiled), library.problem
        else:
            added = laid((1, n), dtype, "plain", offsets[3], 4)[0][0] if bias else None
            y = launch.multiply(a, b, dtype=None if result == "same" else result, bias=added)
            assert np.array_equal(exact(y), expected + (exact(added) if bias else 0)), library.problem
            assert y.dtype == (dtype if result == "same" else result)
        assert library.products and all((asked.description.compute == 77) == (tf32 and dtype == "float32") for asked in library.products)


def exact(x):
    return standin.to_numpy(x).astype("float64")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("for_a", WAYS)
@pytest.mark.parametrize("for_b", WAYS)
def test_the_library_reads_and_adds_where_the_arrays_lie(library, launch, monkeypatch, for_a, for_b, leading, dtype):
    a, b = laid((*leading, 4, 5), dtype, for_a)[0], laid((*leading, 5, 6), dtype, for_b)[0]
    results = [laid((*leading, 4, 6), "float32", for_out)[0] for for_out in WAYS]
    plans.card(0, standin)                       # takes its workspace
    for name in ("empty", "zeros", "ascontiguousarray", "array"):
        monkeypatch.setitem(vars(standin), name, None)
    for into in results:
        launch.multiply(a, b, into=into)
        asked = library.products[-1]
        assert {asked.addresses[name] for name in "ab"} == {a.data.ptr, b.data.ptr}
        assert asked.addresses["c"] == asked.addresses["d"] == into.data.ptr and asked.beta == 1
