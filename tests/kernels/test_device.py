"""Arrays come to the GPU as they lie on the host, and what is written beside them is noticed. (Only where the tests run on one.)"""

import numpy as np
import pytest
from kernels import device
from kernels.memory import embedded

from minillm.arrays import bfloat16

if device.DEVICE == "emulator":
    pytest.skip("carries nothing: MINILLM_TEST_DEVICE=cuda", allow_module_level=True)


def drawn(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("x", [
    drawn(3, 5), embedded(drawn(7), 1), drawn(4, 6).T, drawn(3, 8)[:, 2:5], drawn(5, dtype=bfloat16), np.arange(3), np.array(True), drawn(0, 3),
    np.repeat(drawn(2, 3), 2, axis=-1)[..., ::2]], ids=str)
def test_an_array_is_carried_over_with_its_address_and_its_strides(x):
    there = device.lift(x)
    assert (there.shape, there.dtype) == (x.shape, x.dtype) and device.lower(there).tobytes() == x.tobytes()
    if x.size:
        assert there.strides == x.strides and (there.data.ptr - x.ctypes.data) % 64 == 0


def test_what_is_no_array_stays_what_it_is():
    assert device.lift((1, None, "x")) == (1, None, "x") and device.lower((1.5, None)) == (1.5, None)


@pytest.mark.parametrize("where, said", [(-1, "before the beginning"), (3, "behind the end")])
def test_a_write_beside_an_array_is_noticed(where, said):
    x = drawn(5)[1:4]
    there, check = device.carry(x)
    check()
    kernel = device.BACKEND.raw_module('extern "C" __global__ void write(float* x, int i) { x[i] = 1; }', ()).get_function("write")
    kernel((1,), (1,), (there, np.int32(where)))
    with pytest.raises(AssertionError, match=said):
        check()


def test_what_an_update_changes_comes_back_and_what_is_collected_is_the_very_array():
    p, g, m, v, copy = drawn(9), drawn(9), np.zeros(9, np.float32), np.zeros(9, np.float32), np.zeros(9, bfloat16)
    before = p.copy()
    device.KERNELS.adamw(p, g, m, v, 1, 0.1, copy=copy)
    assert (p != before).all() and m.any() and copy.tobytes() == p.astype(bfloat16).tobytes()
    into = np.ones((4, 3), np.float32)
    _, cache = device.KERNELS.embedding.forward(np.array([1, 1]), drawn(4, 3))
    (dw,) = device.KERNELS.embedding.backward(np.ones((2, 3), np.float32), cache, into=into)
    assert dw is into and into.tolist() == [[1] * 3, [3] * 3, [1] * 3, [1] * 3]
