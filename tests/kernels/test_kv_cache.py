"""Storing a token's keys and values, and attention over a cache with room for more."""

import numpy as np
import pytest
from kernels import growing
from kernels.device import KERNELS, fresh
from kernels.memory import embedded, poisoned_outputs
from kernels.test_operations import no_fallback
from ops.test_every_op import PRECISIONS, assert_close

from minillm.arrays import bfloat16
from minillm.kernels import decode, emulator, kv_cache
from minillm.ops import REFERENCE

DTYPES = pytest.mark.parametrize("dtype", [np.dtype("float32"), bfloat16], ids=str)


@pytest.mark.parametrize("offset", [0, 1], ids=["aligned", "not aligned"])
@pytest.mark.parametrize("what", growing.EVERY, ids=lambda function: function.__name__)
@DTYPES
def test_it_is_right_amid_nan_with_every_access_checked(what, dtype, offset):
    with no_fallback(), emulator.settings(checked=True), poisoned_outputs(offset):
        what(KERNELS, dtype, offset)


@pytest.mark.parametrize("threads", [1, 33, 1024])
def test_other_block_sizes_store_the_same(threads, monkeypatch):
    monkeypatch.setattr(kv_cache, "THREADS", threads)
    with emulator.settings(checked=True):
        growing.storing(KERNELS, np.dtype("float32"))


@pytest.mark.parametrize("sizes", [dict(SLOTS=4, KEYS_OF_PART=16, MOST_TOGETHER=1, WARPS=1), dict(SLOTS=8, KEYS_OF_PART=7)], ids=str)
def test_other_parts_see_the_same_keys(sizes, monkeypatch):
    for name, value in sizes.items():
        monkeypatch.setattr(decode, name, value)
    with emulator.settings(checked=True), poisoned_outputs():
        growing.looking(KERNELS, np.dtype("float32"))


@pytest.mark.parametrize("t", [1, 3])
def test_how_many_keys_there_are_is_what_a_mask_could_say_also_backwards(t):
    """Several queries, whom no kernel serves with it, have a mask made of it; so has backward."""
    rng = np.random.default_rng(1)
    q, k, v, dy = (rng.standard_normal(shape).astype("float32") for shape in ((2, t, 4, 8), (2, 9, 2, 8), (2, 9, 2, 8), (2, t, 4, 8)))
    own = rng.random((2, 4, t, 9)) < 0.8
    for mask in (None, own, own[:1, :1]):
        given = dict(causal=False, mask=mask)
        y, cache = KERNELS.attention.forward(q, k, v, num_keys=np.array([4, 9]), **given)
        whole = np.broadcast_to(np.arange(9) < np.array([[4], [9]])[:, :, None, None], (2, 1, t, 9))
        exact, exact_cache = REFERENCE.attention.forward(*(x.astype(float) for x in (q, k, v)), causal=False,
                                                         mask=whole if mask is None else mask & whole)
        assert_close(y, exact, PRECISIONS["float32"])
        assert_close(KERNELS.attention.backward(dy, cache), REFERENCE.attention.backward(dy.astype(float), exact_cache), PRECISIONS["float32"])


def test_heads_that_the_reference_takes_see_no_more_keys():
    q, k, v = (np.random.default_rng(2).standard_normal(shape).astype("float32") for shape in ((1, 1, 1, 130), (1, 5, 1, 130), (1, 5, 1, 130)))
    with pytest.warns(RuntimeWarning, match="heads of 130"):
        y, _ = fresh().attention.forward(q, k, v, num_keys=np.array([2]))
    assert_close(y, REFERENCE.attention.forward(*(x.astype(float) for x in (q, k[:, :2], v[:, :2])))[0], PRECISIONS["float32"])


def test_rows_of_another_number_are_refused():
    x = embedded(np.ones((2, 1, 1, 4), np.float32))
    with pytest.raises(ValueError, match="num_keys has the shape"):
        KERNELS.attention.forward(x, x, x, num_keys=np.array([1, 1, 1]))
