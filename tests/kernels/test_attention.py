"""What only attention's kernels have to show; the cases that they share with all operations are in cases.py."""

import numpy as np
import pytest
from kernels.cases import TENSOR_CORES
from kernels.device import KERNELS, fresh, lower, same_as_the_reference
from kernels.memory import embedded, poison, poisoned_outputs
from kernels.test_operations import both_passes, exact, no_fallback, same_bits
from ops.test_every_op import PRECISIONS, assert_close

import minillm
from minillm.arrays import bfloat16
from minillm.kernels import attention, decode, emulator, flash_attention
from minillm.model import Config, Transformer
from minillm.ops import REFERENCE

ATTENTION = KERNELS.attention


def qkv(b, t, s, h, k, e, dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((b, t, h, e), (b, s, k, e), (b, s, k, e))]


# --- tensor cores -----------------------------------------------------------------------------------------------------------------

@pytest.fixture
def tensor_cores_only(monkeypatch):
    """The plain kernels would hide that the others didn't run."""
    monkeypatch.setattr(attention.Attention, "run", None)


def agrees(case, result):
    for mine, other in zip(result, exact(case, bfloat16), strict=True):
        assert_close(mine, other, PRECISIONS["bfloat16"])


@pytest.mark.parametrize("case", TENSOR_CORES, ids=str)
def test_tensor_cores_agree_with_the_reference_in_float64_with_every_access_checked(case, tensor_cores_only):
    with no_fallback(), emulator.settings(checked=True), poisoned_outputs():
        agrees(case, both_passes(ATTENTION, case, bfloat16, embedded))


@pytest.mark.parametrize("case", TENSOR_CORES, ids=str)
def test_every_schedule_gives_the_same_bits_on_tensor_cores(case, tensor_cores_only):
    """Also whether copies land at once or as late as they may, which the seed decides too."""
    results = []
    for seed in (0, 1, 2, 3):
        with emulator.settings(seed=seed), poisoned_outputs():
            results.append(both_passes(ATTENTION, case, bfloat16))
    assert all(same_bits(result, results[0]) for result in results[1:])


@pytest.mark.parametrize("step", [16, 48])
def test_other_steps_compute_the_same_on_tensor_cores(step, monkeypatch, tensor_cores_only):
    monkeypatch.setattr(flash_attention, "STEP", step)
    for case in TENSOR_CORES:
        if case.inputs[0][-1] <= 32:
            with poisoned_outputs():
                agrees(case, both_passes(ATTENTION, case, bfloat16))


def test_the_kernels_agree_among_themselves():
    """On the same numbers, tensor cores and the plain kernels differ by the rounding of P and dS."""
    q, k, v = qkv(1, 70, 70, 2, 1, 16, bfloat16)
    y, cache = ATTENTION.forward(q, k, v)
    plain, plain_cache = ATTENTION.forward(*(embedded(x, offset=1) for x in (q, k, v)))
    assert np.allclose(lower(cache.lse), lower(plain_cache.lse), rtol=0, atol=1e-5)
    assert np.linalg.norm(y.astype(float) - plain.astype(float)) < 4e-3 * np.linalg.norm(plain.astype(float))


# --- one query -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", ["float32", bfloat16], ids=str)
@pytest.mark.parametrize("e", [8, 6], ids=["packs", "no packs"])
def test_a_cache_is_read_where_it_lies(dtype, e, monkeypatch):
    """As generation hands it over: views of (b, k, slots, e) memory of which only the first slots are filled. No copy is made."""
    q, k, v = qkv(2, 1, 21, 4, 2, e, dtype)
    expected, _ = ATTENTION.forward(q, k, v)
    memory = embedded(poison(2 * 2 * 2 * 30 * e, dtype).reshape(2, 2, 2, 30, e))
    views = [kept[:, :, :21].swapaxes(1, 2) for kept in memory]
    for view, x in zip(views, (k, v), strict=True):
        view[...] = x
    monkeypatch.setattr(decode, "contiguous", None)
    with emulator.settings(checked=True), poisoned_outputs():
        y, _ = ATTENTION.forward(q, *views)
    assert y.tobytes() == expected.tobytes()


def test_views_whose_channels_lie_apart_are_copied():
    q, k, v = qkv(1, 1, 5, 2, 1, 4)
    apart = [np.repeat(x, 2, axis=-1)[..., ::2] for x in (k, v)]
    assert ATTENTION.forward(q, *apart)[0].tobytes() == ATTENTION.forward(q, k, v)[0].tobytes()


@pytest.mark.parametrize("window", [None, 3])
def test_one_query_at_a_time_over_cached_keys_gives_the_rows_of_the_whole(window):
    q, k, v = qkv(2, 7, 7, 4, 2, 4)
    whole, _ = ATTENTION.forward(q, k, v, window=window)
    for i in range(7):
        row, _ = ATTENTION.forward(q[:, i:i + 1], k[:, :i + 1], v[:, :i + 1], window=window)
        assert np.allclose(row, whole[:, i:i + 1], rtol=0, atol=1e-6), f"position {i}"


# --- all ---------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("t", [1, 5])
def test_scores_of_any_size_are_safe(t):
    """e^1000 is no float32."""
    q, k, v = qkv(1, t, 20, 2, 1, 4)
    for size in (300, -300):
        y, cache = ATTENTION.forward(size * q, k, v, scale=1.0)
        exact, _ = REFERENCE.attention.forward(*(x.astype(float) for x in (size * q, k, v)), scale=1.0)
        assert np.allclose(y, exact, rtol=0, atol=1e-3)
        assert all(np.isfinite(x).all() for x in ATTENTION.backward(y, cache))


@pytest.mark.parametrize("t, dtype", [(1, "float32"), (5, "float32"), (5, bfloat16)], ids=["decode", "plain", "tensor cores"])
@pytest.mark.parametrize("which", [0, 1, 2], ids="qkv")
def test_nan_is_not_lost(t, dtype, which):
    """Neither as if the row saw nothing, nor in a maximum."""
    arrays = qkv(1, t, 20, 2, 1, 16, dtype)
    arrays[which][..., 1] = np.nan
    y, _ = ATTENTION.forward(*arrays)
    assert np.isnan(y[..., 1].astype(float)).all()


def test_large_heads_are_left_to_the_reference():
    arrays = qkv(1, 2, 3, 2, 1, 130)
    with pytest.warns(RuntimeWarning, match="The kernels of Attention can't take heads of 130 numbers"):
        y, _ = fresh().attention.forward(*arrays)
    same_as_the_reference([y], [REFERENCE.attention.forward(*arrays)[0]])


def test_probabilities_to_look_at_come_from_the_reference_without_a_warning():
    arrays = qkv(1, 4, 4, 2, 1, 4)
    with no_fallback():
        y, cache = ATTENTION.forward(*arrays, keep_probabilities=True)
    assert np.allclose(lower(cache.probabilities).sum(-1), 1) and len(ATTENTION.backward(y, cache)) == 3


def test_what_makes_no_sense_is_refused_as_the_reference_refuses_it():
    with pytest.raises(ValueError, match="3 query heads can't share 2 key heads evenly"):
        ATTENTION.forward(*qkv(1, 2, 2, 3, 2, 4))


def test_a_model_writes_the_same_text_on_kernels():
    config = Config(vocab_size=31, d_model=16, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=24, max_seq_len=32, sliding_window=6)
    prompts = [[3, 1, 4, 1, 5], [9, 2]]
    texts = [minillm.generate(Transformer(config, seed=1, ops=ops), prompts, max_new_tokens=7, temperature=0) for ops in (REFERENCE, KERNELS)]
    assert texts[0] == texts[1]
