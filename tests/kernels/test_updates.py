"""The updates on kernels against those of updates.py, number by number."""

import ml_dtypes
import numpy as np
import pytest
from kernels.device import KERNELS, TABLE, same_as_the_reference
from kernels.memory import embedded, poisoned_outputs

from minillm import updates
from minillm.kernels import emulator
from minillm.kernels import updates as kernel_updates

SIZES = pytest.mark.parametrize("size", [1, 7, 64, 1021, 2052])
OFFSETS = pytest.mark.parametrize("offset", [0, 1], ids=["aligned", "not aligned"])


@pytest.fixture(autouse=True)
def checked():
    with emulator.settings(checked=True), poisoned_outputs():
        yield


def drawn(size, count=4, offset=0, seed=0):
    """Parameters, gradients, and moments that are not negative; amid NaN."""
    rng = np.random.default_rng(seed)
    return [embedded((np.abs(x) if i >= 3 else x).astype(np.float32), offset) for i, x in enumerate(rng.standard_normal((count, size)))]


PLAIN, ALL = {}, dict(weight_decay=0.1, decayed=5, grad_scale=0.3, beta1=0.7, beta2=0.9, eps=1e-3)


@SIZES
@OFFSETS
@pytest.mark.parametrize("options", [PLAIN, ALL], ids=["plain", "all options"])
def test_adamw(size, offset, options):
    state = drawn(size, offset=offset)
    exact = [x.astype(float) for x in state]
    copy = embedded(np.full(size, np.nan, ml_dtypes.bfloat16), offset)
    for step in (1, 2, 50):
        KERNELS.adamw(*state, step, 0.1, **options, copy=copy)
        updates.adamw(*exact, step, 0.1, **options)
    for mine, other in zip(state, exact, strict=True):
        assert np.allclose(mine, other, rtol=2e-5, atol=2e-6)
    assert copy.tobytes() == state[0].astype(ml_dtypes.bfloat16).tobytes()


def test_adamw_leaves_the_gradients_alone_and_needs_no_copy():
    state, other = drawn(100), drawn(100)
    KERNELS.adamw(*state, 3, 0.1)
    KERNELS.adamw(*other, 3, 0.1, copy=np.zeros(100, ml_dtypes.bfloat16))
    assert state[1].tobytes() == drawn(100)[1].tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(state, other, strict=True))


@pytest.mark.parametrize("sizes", [dict(THREADS=32, BLOCKS=2), dict(THREADS=1024, BLOCKS=1)], ids=str)
def test_other_block_sizes_compute_the_same(sizes, monkeypatch):
    for name, value in sizes.items():
        assert hasattr(kernel_updates, name)
        monkeypatch.setattr(kernel_updates, name, value)
    for size in (7, 2052):
        test_adamw(size, 0, ALL)
        test_a_judged_step_is_the_references(size)
        test_the_square_norm_is_accurate_and_repeats(size, 0)
        test_cast_rounds_to_the_nearest(size, 0, ml_dtypes.bfloat16)


def judged(table, state, mean, copy, loss=1.0, max_norm=1.0, step=3, verdict=None):
    """A whole step whose numbers lie in memory, and the verdict on it."""
    verdict = embedded(np.array([np.nan, np.nan, 1.0])) if verdict is None else verdict
    options = {name: ALL[name] for name in ("beta1", "beta2", "eps", "decayed")}
    table.judge(state[1], embedded(np.array(loss, np.float32)), max_norm, verdict)
    table.adamw_judged(*state, embedded(table.numbers_of_step(step, 0.1, ALL["beta1"], ALL["beta2"], ALL["weight_decay"])), verdict, **options, copy=copy)
    table.average_judged(mean, state[0], 0.9, verdict)
    return verdict


@SIZES
@OFFSETS
@pytest.mark.parametrize("max_norm", [0.1, 1e9], ids=["clipped", "not clipped"])
def test_a_judged_step_has_the_same_bits_as_one_whose_numbers_the_host_knows(size, offset, max_norm):
    state, other, (mean, other_mean) = drawn(size, offset=offset), drawn(size, offset=offset), drawn(size, 2, offset, 5)
    other_mean[...], copy = mean, embedded(np.full(size, np.nan, ml_dtypes.bfloat16), offset)
    for step in (1, 30):
        verdict = judged(KERNELS, state, mean, copy, max_norm=max_norm, step=step)
        norm, scale = KERNELS.clip(other[1], max_norm, in_place=False)
        assert verdict.tolist() == [scale, norm, 1]
        KERNELS.adamw(*other, step, 0.1, **ALL | dict(grad_scale=scale))
        KERNELS.average(other_mean, other[0], 0.9)
    assert all(mine.tobytes() == his.tobytes() for mine, his in zip([*state, mean], [*other, other_mean], strict=True))
    assert copy.tobytes() == state[0].astype(ml_dtypes.bfloat16).tobytes()


@SIZES
def test_a_judged_step_is_the_references(size):
    state, (mean,) = drawn(size), drawn(size, 1, seed=5)
    exact, exact_mean = [x.astype(float) for x in state], mean.astype(float)
    verdict, wanted = judged(KERNELS, state, mean, None), judged(updates, exact, exact_mean, None)
    for mine, other in zip([*state, mean, verdict], [*exact, exact_mean, wanted], strict=True):
        assert np.allclose(mine, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("loss, bad", [(np.nan, None), (-np.inf, None), (1.0, np.nan), (1.0, np.inf)], ids=str)
def test_after_the_first_step_that_is_not_sound_nothing_changes_any_more(loss, bad):
    state, (mean,), copy = drawn(1021), drawn(1021, 1, seed=5), embedded(np.ones(1021, ml_dtypes.bfloat16))
    before, good = [x.tobytes() for x in (*state, mean, copy)], state[1].copy()
    if bad is not None:
        state[1][-1] = bad
    verdict = judged(KERNELS, state, mean, copy, loss)
    state[1][...] = good
    judged(KERNELS, state, mean, copy, verdict=verdict)
    assert verdict[2] == 0 and verdict[1] == KERNELS.clip(good, 1.0, in_place=False)[0]
    assert [x.tobytes() for x in (*state, mean, copy)] == before


@SIZES
@OFFSETS
def test_the_square_norm_is_accurate_and_repeats(size, offset):
    (x,) = drawn(size, 1, offset)
    x *= np.logspace(-3, 3, size, dtype=np.float32)
    norm = KERNELS.square_norm(x)
    assert norm.dtype == np.float64 and norm.shape == ()
    assert abs(norm - (x.astype(float)**2).sum()) <= 1e-6 * norm
    assert KERNELS.square_norm(x).tobytes() == norm.tobytes()


def test_the_square_norm_uses_many_blocks(monkeypatch):
    grids = []
    monkeypatch.setattr(TABLE.updates, "launch", Recording(TABLE.launch, grids))
    (x,) = drawn(20_000, 1)
    for most, used in ((1024, 20), (3, 3)):
        monkeypatch.setattr(kernel_updates, "BLOCKS", most)
        assert np.isclose(KERNELS.square_norm(x), (x.astype(float)**2).sum(), rtol=1e-7)
        assert grids[-2:] == [("square_sums", used), ("total", 1)]


class Recording:
    """A launcher that notes the grid of each launch."""

    def __init__(self, launch, grids):
        self.launch, self.grids = launch, grids

    def __getattr__(self, name):
        return getattr(self.launch, name)

    def __call__(self, file, kernel, dtype, grid, *rest, **named):
        self.grids.append((kernel, grid))
        self.launch(file, kernel, dtype, grid, *rest, **named)


def test_many_small_squares_are_not_lost_beside_a_large_one():
    """Summed in float32, the ones would vanish: 1e8 + 1 is 1e8 there."""
    x = np.ones(10_001, np.float32)
    x[0] = 1e4
    assert abs(KERNELS.square_norm(x) - 100_010_000) <= 4


@SIZES
@OFFSETS
@pytest.mark.parametrize("dtype", ["float32", ml_dtypes.bfloat16])
def test_cast_rounds_to_the_nearest(size, offset, dtype):
    (source,) = drawn(size, 1, offset)
    source[: min(4, size)] = np.array([1 + 2**-8, 1 + 3 * 2**-8, np.inf, -(1 + 2**-8)], np.float32)[:size]
    target = embedded(np.full(size, np.nan, dtype), offset)
    KERNELS.cast(source, target)
    assert target.tobytes() == source.astype(dtype).tobytes()


def test_clip_uses_the_kernel_of_the_square_norm():
    g = np.array([3, 4], np.float32)
    norm, scale = KERNELS.clip(g, 1.0, in_place=False)
    assert norm == 5 and np.isclose(scale, 0.2, rtol=1e-6) and g.tolist() == [3, 4]
    KERNELS.clip(g, 1.0)
    assert np.allclose(g, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("update", [
    lambda table, x: table.adamw(*x, 1, 0.1), lambda table, x: table.square_norm(x[0]), lambda table, x: table.cast(x[0], x[1]),
    lambda table, x: table.adam(*x, 1, 0.1), lambda table, x: table.sgd(*x[:3], 0.1), lambda table, x: table.average(x[0], x[1], 0.9),
    lambda table, x: judged(table, x, np.abs(x[0]), None)])
@pytest.mark.parametrize("size", [0, 5])
def test_what_the_kernels_can_not_do_the_reference_does(update, size, recwarn):
    mine, other = ([x.astype(float) for x in drawn(size)] for _ in range(2))
    one, two = update(KERNELS, mine), update(updates, other)
    same_as_the_reference([one], [two])
    same_as_the_reference(mine, other)
