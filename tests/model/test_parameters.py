"""One flat array with named views; and what the parameters start from."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.model import Config, Parameters, Transformer
from minillm.updates import adamw, sgd

from .small import GPT2, LLAMA, batch, small

DTYPES = st.sampled_from(["float16", "float32", "float64"])
SHAPES = st.builds(
    lambda matrices, vectors: {f"matrix{i}.weight": shape for i, shape in enumerate(matrices)}
    | {f"vector{i}.weight": shape for i, shape in enumerate(vectors)},
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5), st.lists(st.tuples(st.integers(1, 200)), max_size=5))


def padding(params):
    """The numbers of the flat array that belong to no view."""
    marks = params.zeros()
    for view in marks.values():
        view[...] = 1
    return params.flat[marks.flat == 0]


@given(SHAPES, DTYPES)
def test_every_view_starts_at_a_multiple_of_256_bytes(shapes, dtype):
    for name, view in Parameters(shapes, dtype).items():
        assert view.ctypes.data % 256 == 0, name
        assert view.flags.c_contiguous and view.shape == shapes[name] and view.dtype == dtype


@given(SHAPES, DTYPES)
def test_views_do_not_overlap_and_share_the_flat_array(shapes, dtype):
    params = Parameters(shapes, dtype)
    for view in params.values():
        view += 1
    assert set(np.unique(params.flat)) <= {0, 1}, "two views share a number"
    assert params.flat.sum(dtype="float64") == sum(view.size for view in params.values())
    params.flat[...] = 7
    assert all((view == 7).all() for view in params.values())


@given(SHAPES, DTYPES)
def test_the_matrices_are_one_slice_and_the_vectors_the_rest(shapes, dtype):
    params = Parameters(shapes, dtype)
    for view in params.values():
        view[...] = view.ndim
    matrices, vectors = params.flat[:params.num_matrix_numbers], params.flat[params.num_matrix_numbers:]
    assert set(np.unique(matrices)) <= {0, 2} and set(np.unique(vectors)) <= {0, 1}
    assert (matrices == 2).sum() == sum(view.size for view in params.values() if view.ndim == 2)


def test_no_decay_reaches_a_vector_and_all_matrices_decay():
    model = small(GPT2, dtype="float32")
    grads, m, v = model.params.zeros(), model.params.zeros(), model.params.zeros()
    before = {name: view.copy() for name, view in model.params.items()}
    adamw(model.params.flat, grads.flat, m.flat, v.flat, step=1, lr=0.1, weight_decay=0.5, decayed=model.params.num_matrix_numbers)
    for name, view in model.params.items():
        np.testing.assert_allclose(view, before[name] * (0.95 if view.ndim == 2 else 1), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_padding_is_zero_and_stays_zero_through_updates(dtype):
    model = small(dtype=dtype)
    assert padding(model.params).size > 100 and not padding(model.params).any()
    m, v, velocity = model.params.zeros(), model.params.zeros(), model.params.zeros()
    for step in range(1, 4):
        _, grads = model.loss_and_grads(*batch())
        assert not padding(grads).any()
        adamw(model.params.flat, grads.flat, m.flat, v.flat, step, lr=0.1, weight_decay=0.1)
        sgd(model.params.flat, grads.flat, velocity.flat, lr=0.1, weight_decay=0.1)
    for each in (model.params, m, v, velocity):
        assert not padding(each).any()


def test_zeros_has_the_same_form_in_another_array():
    params = small(dtype="float32").params
    zeros, wide = params.zeros(), params.zeros("float64")
    assert not np.shares_memory(zeros.flat, params.flat)
    assert not zeros.flat.any() and params.flat.any()
    assert list(zeros) == list(params) and zeros.num_matrix_numbers == params.num_matrix_numbers
    assert (zeros.dtype, wide.dtype) == ("float32", "float64") and wide.flat.dtype == "float64"
    assert zeros.flat.shape == params.flat.shape


def test_a_layers_views_are_the_same_memory_without_the_prefix():
    params = small().params
    assert sorted(params.layers) == [0, 1]
    for number, layer in params.layers.items():
        for name, view in layer.items():
            assert np.shares_memory(view, params[f"layers.{number}.{name}"]) and view.shape == params[f"layers.{number}.{name}"].shape
    assert sum(len(layer) for layer in params.layers.values()) == sum(name.startswith("layers.") for name in params)


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="layers.9.query.weight"):
        small().params["layers.9.query.weight"]


# --- what they start from ----------------------------------------------------------------------------------------------------

WIDE = dict(vocab_size=300, d_model=96, num_layers=3, num_heads=4, d_ff=160, max_seq_len=128)


def deviations(family, **changes):
    """Of each matrix: the standard deviation it should have, and the one it has."""
    config = Config(**(family | WIDE | dict(num_kv_heads=None, head_size=None) | changes))
    return config, Transformer(config, seed=3).params


@pytest.mark.parametrize("family", [LLAMA, GPT2])
@pytest.mark.parametrize("initialisation", ["gpt2", "fan_in"])
def test_initial_weights_have_the_documented_deviations(family, initialisation):
    config, params = deviations(family, initialisation=initialisation)
    for name, view in params.items():
        part, kind = name.split(".")[-2:]
        if view.ndim == 1:
            assert (view == (0 if kind == "bias" else 1)).all(), name
            continue
        expected = 0.01 if part == "positions" else 0.02
        if initialisation == "fan_in" and part not in ("embedding", "positions", "output"):
            expected = 1 / sqrt({"down": 160}.get(part, 96))
        if part in ("attention_output", "down"):
            expected /= sqrt(6)
        error = 5 / sqrt(2 * view.size)             # five times the deviation of a measured deviation, and of a mean
        assert abs(view.std() / expected - 1) < error, f"{name}: {view.std():.5f}, not {expected:.5f}"
        assert abs(view.mean()) < 1.5 * error * expected, name


def test_initial_weights_are_normal():
    view = deviations(LLAMA)[1]["layers.1.up.weight"]
    within = [(abs(view) < k * view.std()).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(within, [0.6827, 0.9545, 0.9973], atol=0.012)


def test_the_seed_decides_every_initial_weight():
    config = Config(**LLAMA)
    one, again, other = (Transformer(config, seed=seed).params for seed in (1, 1, 2))
    assert (one.flat == again.flat).all()
    assert all((one[name] != other[name]).any() for name in one if one[name].ndim == 2)


def test_no_two_matrices_start_alike():
    params = Transformer(Config(**LLAMA), seed=0).params
    starts = [tuple(view.reshape(-1)[:5] / view.std()) for view in params.values() if view.ndim == 2]
    assert len(set(starts)) == len(starts)


def test_masters_are_float32_for_a_16_bit_model_and_start_alike():
    config = Config(**LLAMA)
    masters = [Transformer(config, seed=4, dtype=dtype).params for dtype in ("float32", "bfloat16", "float16")]
    assert {each.flat.dtype for each in masters} == {np.dtype("float32")}
    assert all((each.flat == masters[0].flat).all() for each in masters)
    assert Transformer(config, dtype="float64").params.flat.dtype == "float64"


@given(SHAPES)
def test_a_view_starts_at_the_same_number_in_every_dtype(shapes):
    """So the 16-bit copy of the masters is one sweep over two flat arrays."""
    wide = Parameters(shapes, "float32")
    wide.flat[...] = np.arange(wide.flat.size) % 100
    narrow = wide.zeros("float16")
    narrow.flat[...] = wide.flat
    for name, view in narrow.items():
        assert (view == wide[name]).all(), name
