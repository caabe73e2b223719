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
from minillm.model import Config, Transformer, transformer  # noqa: E402
from minillm.ops import REFERENCE  # noqa: E402

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


VERDICT = np.array([0.5, 3.0, 1.0])
CALLS = {
    "sgd": lambda table, x, lift: table.sgd(*x[:3], 0.1),
    "adam": lambda table, x, lift: table.adam(*x, 2, 0.1),
    "adamw": lambda table, x, lift: table.adamw(*x, 2, 0.1, decayed=99, copy=lift(np.zeros(1030, bfloat16))),
    "square_norm": lambda table, x, lift: table.square_norm(x[0]),
    "clip": lambda table, x, lift: None,         # it asks the GPU for a number, on purpose: below
    "average": lambda table, x, lift: table.average(x[0], x[1], 0.9),
    "cast": lambda table, x, lift: table.cast(x[0], x[1]),
    "judge": lambda table, x, lift: table.judge(x[0], lift(np.array(2, np.float32)), 0.5, lift(VERDICT)),
    "numbers_of_step": lambda table, x, lift: lift(table.numbers_of_step(2, 0.1, 0.9, 0.99, 0.1)),
    "adamw_judged": lambda table, x, lift: table.adamw_judged(*x, lift(np.float32([0.9, 0.1, 1.5])), lift(VERDICT), decayed=99, copy=lift(
        np.zeros(1030, bfloat16))),
    "average_judged": lambda table, x, lift: table.average_judged(x[0], x[1], 0.9, lift(VERDICT)),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_computes_the_same_bits_on_cupy_arrays(name):
    mine, other = list(map(lift, state())), state()
    one, two = CALLS[name](CUDA, mine, lift), CALLS[name](EMULATED, other, lambda x: x)
    assert one is two is None or same_bits(one, two)
    assert all(map(same_bits, mine, other))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_judged_step_waits_for_nothing(dtype):
    """On kernels and, for what they can't take, in array code: the verdict and what it lets happen are NumPy's, to the last bit."""
    mine, other, results = list(map(lift, state(dtype))), state(dtype), []
    for table, x, carry in ((CUDA, mine, lift), (EMULATED, other, lambda x: x)):
        verdict, now = carry(np.array([0, 0, 1.0])), carry(table.numbers_of_step(2, 0.1, 0.9, 0.99, 0.1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")      # one says that float64 is array code's
            for loss in (1.0, np.nan):           # the second step isn't taken
                table.judge(x[1], carry(np.array(loss, np.float32)), 0.5, verdict)
                table.adamw_judged(*x, now, verdict, decayed=99)
                table.average_judged(x[3], x[0], 0.9, verdict)
        results.append(verdict)
    assert same_bits(*results) and results[1][2] == 0 and all(map(same_bits, mine, other))


def test_the_norm_that_clips_is_waited_for_and_nothing_else():
    with pytest.raises(standin.HostSynchronisation, match="float"):
        CUDA.clip(lift(state()[0]), 1.0)


@pytest.mark.parametrize("ops", [CUDA, REFERENCE], ids=["kernels", "array code"])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_models_dropout_may_have_its_key_and_its_first_row_in_device_memory(ops, recompute, monkeypatch):
    monkeypatch.setattr(transformer, "array_module", lambda device: standin if device == "cuda" else np)
    config = Config(vocab_size=11, d_model=16, num_layers=1, num_heads=2, d_ff=8, max_seq_len=5, dropout=0.4)
    model, tokens = Transformer(config, device="cuda", ops=ops), standin.asarray(np.arange(10).reshape(2, 5))

    def run(key, row):
        loss, cache = model.loss_of(tokens, tokens, None, model.params, 10.0, key, row, recompute)
        return standin.to_numpy(loss), standin.to_numpy(model.backward(cache).flat)

    expected, others = run(7, 3), run(8, 3)
    for shape in ((), (1,)):
        mine = run(*(standin.asarray(np.full(shape, number, dtype)) for number, dtype in ((7, np.uint64), (3, np.int64))))
        assert all(map(np.array_equal, mine, expected)) and not any(map(np.array_equal, mine, others))


@pytest.mark.slow
def test_the_tests_for_a_gpu_can_be_run():
    """All of them, carried to the stand-in, in a process of their own: the first who has a GPU shall not be the first to run them."""
    environment = os.environ | {"MINILLM_TEST_DEVICE": "standin"}
    files = [str(Path(__file__).with_name(f"test_{name}.py")) for name in ("device", "operations", "products", "attention", "kv_cache", "cross_entropy", "updates", "training")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:]


def test_numpy_arrays_are_refused():
    with pytest.raises(TypeError, match="What RMSNorm is given must be an array of standin, on which kernels.CUDA computes, not numpy's ndarray"):
        CUDA.rmsnorm.forward(np.ones((2, 4), np.float32), np.ones(4, np.float32))
