"""Every line of launch code runs on CuPy's arrays: on the stand-in for CuPy, whose kernels are the emulator. What comes out are the bits
that the emulated table computes on NumPy's arrays, so nothing is first tried on somebody's GPU."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import standin  # noqa: E402
import standin_cublaslt  # noqa: E402
from kernels.cases import CASES  # noqa: E402
from watched import everywhere  # noqa: E402

from minillm.arrays import bfloat16  # noqa: E402
from minillm.kernels import EMULATED, OPERATIONS, UPDATES, emulator, table  # noqa: E402
from minillm.kernels.launcher import GPU  # noqa: E402

CUDA = table(GPU._replace(arrays="standin"))
FLOAT = np.dtype("float32")
EVERY = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(autouse=True)
def cupy_is_the_stand_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    with standin.special_functions(), standin_cublaslt.installed(), warnings.catch_warnings(), emulator.settings(checked=True):
        warnings.simplefilter("error")
        yield


def lift(x):
    return standin.asarray(x) if isinstance(x, np.ndarray) else x


def lower(x):
    return everywhere(standin.to_numpy, x) if isinstance(x, tuple) else standin.to_numpy(x)


def both_passes(op, case, dtype, lift):
    options = {name: lift(value) for name, value in case.options.items()}
    y, cache = op.forward(*map(lift, case.arrays(dtype)), **options)
    on_host = everywhere(lambda x: standin.to_numpy(x), y)
    return y, op.backward(everywhere(lift, case.upstream(on_host)), cache)


def same_bits(mine, other):
    if isinstance(mine, tuple):
        return len(mine) == len(other) and all(map(same_bits, mine, other))
    if mine is None:
        return other is None
    return isinstance(mine, standin.ndarray) and mine.dtype == other.dtype and mine.shape == other.shape \
        and standin.to_numpy(mine).tobytes() == other.tobytes()


@EVERY
@pytest.mark.parametrize("dtype", [FLOAT, pytest.param(bfloat16, marks=pytest.mark.slow)], ids=str)
def test_an_operation_computes_the_same_bits_on_cupy_arrays(case, dtype):
    mine = both_passes(getattr(CUDA, case.op), case, dtype, lift)
    assert same_bits(mine, both_passes(getattr(EMULATED, case.op), case, dtype, lambda x: x))


@pytest.mark.parametrize("op", [name for name in OPERATIONS if any(case.op == name for case in CASES)])
def test_what_the_kernels_can_not_do_the_reference_does_on_the_gpu(op):
    case = next(case for case in CASES if case.op == op)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        y, gradients = both_passes(getattr(CUDA, op), case, np.dtype("float64"), lift)
    assert all(isinstance(x, standin.ndarray) for x in (*(y if isinstance(y, tuple) else (y,)), *gradients) if x is not None)


def state(dtype="float32", size=1030):
    rng = np.random.default_rng(0)
    return [np.abs(x).astype(dtype) for x in rng.standard_normal((4, size))]


CALLS = {
    "sgd": lambda table, x, lift: table.sgd(*x[:3], 0.1),
    "adam": lambda table, x, lift: table.adam(*x, 2, 0.1),
    "adamw": lambda table, x, lift: table.adamw(*x, 2, 0.1, decayed=99, copy=lift(np.zeros(1030, bfloat16))),
    "square_norm": lambda table, x, lift: table.square_norm(x[0]),
    "clip": lambda table, x, lift: None,         # it asks the GPU for a number, on purpose: below
    "average": lambda table, x, lift: table.average(x[0], x[1], 0.9),
    "cast": lambda table, x, lift: table.cast(x[0], x[1]),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_computes_the_same_bits_on_cupy_arrays(name):
    mine, other = list(map(lift, state())), state()
    one, two = CALLS[name](CUDA, mine, lift), CALLS[name](EMULATED, other, lambda x: x)
    assert one is two is None or same_bits(one, two)
    assert all(map(same_bits, mine, other))


def test_the_norm_that_clips_is_waited_for_and_nothing_else():
    with pytest.raises(standin.HostSynchronisation, match="float"):
        CUDA.clip(lift(state()[0]), 1.0)


@pytest.mark.slow
def test_the_tests_for_a_gpu_can_be_run():
    """All of them, carried to the stand-in, in a process of their own: the first who has a GPU shall not be the first to run them."""
    environment = os.environ | {"MINILLM_TEST_DEVICE": "standin"}
    files = [str(Path(__file__).with_name(f"test_{name}.py")) for name in ("device", "operations", "products", "attention", "cross_entropy", "updates", "training")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:]


def test_numpy_arrays_are_refused():
    with pytest.raises(TypeError, match="What RMSNorm is given must be an array of standin, on which kernels.CUDA computes, not numpy's ndarray"):
        CUDA.rmsnorm.forward(np.ones((2, 4), np.float32), np.ones(4, np.float32))
