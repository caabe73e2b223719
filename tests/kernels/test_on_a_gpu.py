"""The kernels on a real GPU: MINILLM_TEST_DEVICE=cuda pytest tests/kernels/test_on_a_gpu.py. To watch them as the emulator's checked build does:

    MINILLM_TEST_DEVICE=cuda compute-sanitizer --tool memcheck|racecheck|initcheck|synccheck python -m pytest tests/kernels/test_on_a_gpu.py

Without the variable nothing here runs. Run without a GPU, on the stand-in for CuPy, by MINILLM_TEST_DEVICE=standin: which tests these tests.
"""

import os
import sys

import numpy as np
import pytest
from kernels.cases import CASES, TENSOR_CORES
from kernels.test_operations import DTYPES, EVERY, exact, flat, no_fallback
from ops.test_every_op import PRECISIONS, assert_close
from watched import everywhere

from minillm import updates
from minillm.arrays import bfloat16
from minillm.kernels import CUDA, table
from minillm.kernels.launcher import GPU, Launcher

DEVICE = os.environ.get("MINILLM_TEST_DEVICE")
if DEVICE not in ("cuda", "standin"):
    pytest.skip("runs on a GPU: MINILLM_TEST_DEVICE=cuda", allow_module_level=True)
MARGIN = 64                                      # numbers of NaN on either side


@pytest.fixture(scope="module")
def device():
    """(cupy, the table, array → NumPy)."""
    if DEVICE == "standin":
        import standin
        before, sys.modules["cupy"] = sys.modules.get("cupy"), standin
        with standin.special_functions():
            yield standin, table(GPU._replace(arrays="standin")), standin.to_numpy
        sys.modules["cupy"] = before
    else:
        import cupy
        yield cupy, CUDA, cupy.asnumpy


def amid_nan(cupy, x, offset=0):
    """A copy of x on the GPU, in the middle of NaN."""
    if not isinstance(x, np.ndarray):
        return x
    memory = np.full(x.size + 2 * MARGIN + offset, np.iinfo(x.dtype).min if x.dtype.kind in "iu" else np.nan, x.dtype)
    memory[MARGIN + offset:MARGIN + offset + x.size] = x.reshape(-1)
    return cupy.asarray(memory)[MARGIN + offset:MARGIN + offset + x.size].reshape(x.shape)


@pytest.fixture(autouse=True)
def outputs_are_nan_before_they_are_written(monkeypatch, request):
    cupy = request.getfixturevalue("device")[0]
    monkeypatch.setattr(Launcher, "empty", lambda self, like, shape, dtype=None: cupy.full(shape, np.nan, like.dtype if dtype is None else dtype))


def both_passes(device, case, dtype, offset=0):
    cupy, kernels, to_numpy = device
    op, options = getattr(kernels, case.op), {name: amid_nan(cupy, x) for name, x in case.options.items()}
    y, cache = op.forward(*(amid_nan(cupy, x, offset) for x in case.arrays(dtype)), **options)
    y = on_host(to_numpy, y)
    gradients = op.backward(everywhere(lambda x: amid_nan(cupy, x, offset), case.upstream(y)), cache)
    return y, on_host(to_numpy, gradients)


def on_host(to_numpy, x):
    return tuple(on_host(to_numpy, part) for part in x) if isinstance(x, tuple) else None if x is None else to_numpy(x)


@EVERY
@DTYPES
@pytest.mark.parametrize("offset", [0, 1], ids=["aligned", "not aligned"])
def test_it_agrees_with_the_reference_in_float64_twice_with_the_same_bits(case, dtype, offset, device):
    with no_fallback():
        (y, gradients), again = (both_passes(device, case, dtype, offset) for _ in range(2))
    exact_y, exact_gradients = exact(case, dtype)
    assert_close(y, exact_y, PRECISIONS[dtype.name])
    assert_close(gradients, exact_gradients, PRECISIONS[dtype.name])
    assert all(a is b is None or a.tobytes() == b.tobytes() for a, b in zip(flat((y, gradients)), flat(again), strict=True))


@pytest.mark.parametrize("case", TENSOR_CORES, ids=str)
def test_tensor_cores_agree_with_the_reference_in_float64_twice_with_the_same_bits(case, device):
    test_it_agrees_with_the_reference_in_float64_twice_with_the_same_bits(case, bfloat16, 0, device)


def test_dropout_is_numpys_bit_for_bit(device):
    for case in (case for case in CASES if case.op == "dropout"):
        y, _ = both_passes(device, case, np.dtype("float32"))
        assert y.tobytes() == case.operation.forward(*case.arrays("float32"), **case.options)[0].tobytes()


@pytest.mark.parametrize("size", [1, 7, 1021, 2052])
def test_updates(size, device):
    cupy, kernels, to_numpy = device
    state = [np.abs(x).astype(np.float32) for x in np.random.default_rng(0).standard_normal((4, size))]
    mine, exactly, copy = [amid_nan(cupy, x) for x in state], [x.astype(float) for x in state], amid_nan(cupy, np.zeros(size, bfloat16))
    kernels.adamw(*mine, 2, 0.1, decayed=5, copy=copy)
    updates.adamw(*exactly, 2, 0.1, decayed=5)
    for found, other in zip(mine, exactly, strict=True):
        assert np.allclose(to_numpy(found), other, rtol=2e-5, atol=2e-6)
    assert to_numpy(copy).tobytes() == to_numpy(mine[0]).astype(bfloat16).tobytes()
    norm = to_numpy(kernels.square_norm(mine[1]))
    assert abs(norm - (exactly[1]**2).sum()) <= 1e-6 * norm
    assert to_numpy(kernels.square_norm(mine[1])).tobytes() == norm.tobytes()
