"""What must hold for every Transformer, whatever it has learned: who sees whom, slices that add up, bits that repeat, precisions."""

from math import log

import ml_dtypes  # noqa: F401   NumPy then knows the name "bfloat16"
import numpy as np
import pytest

from minillm.cost import held
from minillm.model import Config, Transformer
from minillm.ops import REFERENCE
from minillm.updates import adamw

from .small import FIRST, GPT2, LLAMA, batch, distance, enlarge, same_bits, small

KINDS = pytest.mark.parametrize("shape", [LLAMA, GPT2, FIRST], ids=["llama", "gpt2", "first"])


# --- who sees whom ---------------------------------------------------------------------------------------------------------------

@KINDS
def test_a_token_changes_no_logits_before_it_and_those_at_and_after_it(shape):
    model, (tokens, _) = small(shape), batch(1, 7)
    logits = model(tokens)
    for j in range(7):
        changed = tokens.copy()
        changed[0, j] = (tokens[0, j] + 1) % 11
        moved = abs(model(changed) - logits).max(-1)[0]
        assert (moved[:j] == 0).all(), f"token {j} reached positions {np.flatnonzero(moved[:j])} before it"
        assert (moved[j:] > 1e-9).all(), f"token {j} didn't reach positions {j + np.flatnonzero(moved[j:] <= 1e-9)}"


def test_a_window_hides_what_lies_further_back():
    """Two layers with a window of 2 see one token back each, so two in all."""
    model, (tokens, _) = small(LLAMA, sliding_window=2), batch(1, 7)
    changed = tokens.copy()
    changed[0, 1] = (tokens[0, 1] + 1) % 11
    moved = abs(model(changed) - model(tokens)).max(-1)[0]
    assert (moved > 1e-9).tolist() == [False, True, True, True, False, False, False]


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rope"])
def test_documents_in_one_row_are_as_if_each_stood_alone(positions):
    """With RoPE even the positions don't matter, as only distances count; others continue to count positions through the row."""
    model, (tokens, targets) = small(LLAMA, positions=positions), batch(2, 7)
    documents = np.array([[4, 4, 4, 9, 9, 9, 9], [1, 1, 1, 2, 2, 2, 2]])
    together = model(tokens, documents=documents)
    np.testing.assert_allclose(together[:, :3], model(tokens[:, :3]), rtol=1e-10, atol=1e-12)
    if positions == "rope":
        np.testing.assert_allclose(together[:, 3:], model(tokens[:, 3:]), rtol=1e-10, atol=1e-12)
        loss, grads = model.loss_and_grads(tokens, targets, documents=documents)
        parts = [model.loss_and_grads(tokens[:, part], targets[:, part], denominator=14) for part in (slice(0, 3), slice(3, 7))]
        assert abs(loss - sum(part for part, _ in parts)) < 1e-12
        assert distance(grads, {name: parts[0][1][name] + parts[1][1][name] for name in grads}) < 1e-11
    first = np.array([[5, 5, 5, 5, 5, 5, 5]] * 2)
    assert abs(model(tokens, documents=documents) - model(tokens, documents=first)).max() > 1e-3, "documents change nothing"


@pytest.mark.parametrize("shape", [GPT2, FIRST], ids=["learned", "sinusoidal"])
def test_the_place_of_a_token_matters(shape):
    """The same token at every place: without positions, all logits would be equal."""
    logits = small(shape)(np.full((1, 5), 3))
    assert all(abs(logits[0, i] - logits[0, j]).max() > 1e-3 for i in range(5) for j in range(i))


def test_rope_sees_order():
    model = small(LLAMA)
    one, other = model(np.array([[1, 2, 3, 4]])), model(np.array([[2, 1, 3, 4]]))
    assert abs(one - other)[0, 3].max() > 1e-3


@KINDS
def test_rows_of_a_batch_know_nothing_of_each_other(shape):
    model, (tokens, _) = small(shape), batch(3, 5)
    np.testing.assert_allclose(model(tokens), np.concatenate([model(tokens[i:i + 1]) for i in range(3)]), rtol=1e-10, atol=1e-12)


# --- the loss ---------------------------------------------------------------------------------------------------------------------

@KINDS
def test_the_loss_is_the_mean_cross_entropy_of_the_logits(shape):
    model, (tokens, targets) = small(shape), batch(ignored=2)
    logits = model(tokens)
    logits = logits - logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    counted = targets != -100
    expected = -np.take_along_axis(logs, np.where(counted, targets, 0)[..., None], -1)[..., 0][counted].mean()
    loss, cache = model.forward(tokens, targets)
    assert type(loss) is float
    assert abs(loss - expected) < 1e-12
    assert abs(float(cache.nll) - expected) < 1e-12


@pytest.mark.parametrize("extra", [dict(label_smoothing=0.1), dict(z_loss=0.1)], ids=str)
def test_the_plain_loss_is_reported_beside_what_is_minimised(extra):
    model = small()
    loss, _ = model.forward(*batch())
    minimised, cache = model.forward(*batch(), **extra)
    assert minimised > loss + 1e-3, "these logits are far from 0, and too sure of themselves"
    assert abs(float(cache.nll) - loss) < 1e-12


@pytest.mark.parametrize("name", ["gpt-nano", "llama-nano"])
def test_a_fresh_model_knows_nothing(name):
    config = Config.preset(name, num_layers=2)
    loss, _ = Transformer(config).forward(*batch(2, 32, config.vocab_size), gradients=False)
    assert abs(loss - log(config.vocab_size)) < 0.1


def test_an_evaluation_gives_the_same_loss_and_has_no_gradients_to_give():
    model = small()
    loss, cache = model.forward(*batch(), gradients=False)
    assert loss == model.forward(*batch())[0]
    with pytest.raises(ValueError, match="gradients=False"):
        model.backward(cache)


def test_dropout_needs_a_key_and_another_key_is_another_mask():
    model = small(GPT2, dropout=0.3)
    none, one, again, other = (model.forward(*batch(), dropout_key=key)[0] for key in (None, 1, 1, 2))
    assert one == again
    assert len({none, one, other}) == 3
    assert none == small(GPT2).forward(*batch())[0]


# --- where the dropout stands --------------------------------------------------------------------------------------------------

class Recorded:
    """A dropout that notes where it is called."""

    def __init__(self):
        self.calls = []

    def forward(self, x, rate, key, layer, site, start):
        self.calls.append((layer, site, start, x.shape, rate, key))
        return REFERENCE.dropout.forward(x, rate, key, layer, site, start)

    def backward(self, dy, cache):
        return REFERENCE.dropout.backward(dy, cache)


@KINDS
def test_every_dropout_has_a_place_of_its_own(shape):
    """Site 0 is the embedding's, 1 follows attention, 2 the feed-forward layer; each numbered by its layer."""
    recorded = Recorded()
    model = small(shape, ops=REFERENCE.replace(dropout=recorded), dropout=0.25)
    model.forward(*batch(2, 5), dropout_key=9, first_row=3)
    places = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]
    assert recorded.calls == [(layer, site, 3 * 5 * 6, (2, 5, 6), 0.25, 9) for layer, site in places]


# --- slices, accumulation, repetition --------------------------------------------------------------------------------------------

@KINDS
@pytest.mark.parametrize("recompute", [False, True])
def test_slices_add_up_to_the_whole_batch_with_dropout_too(shape, recompute):
    """The mask of a slice is the slice of the mask."""
    model, (tokens, targets) = small(shape, dropout=0.3), batch(5, 4, ignored=3)
    documents = np.array([[0, 0, 1, 1]] * 5)
    whole, grads = model.loss_and_grads(tokens, targets, dropout_key=8, documents=documents)
    total, sums = 0.0, model.params.zeros()
    for rows in (slice(0, 2), slice(2, 3), slice(3, 5)):
        loss, returned = model.loss_and_grads(tokens[rows], targets[rows], into=sums, denominator=17, dropout_key=8, first_row=rows.start,
                                              documents=documents[rows], recompute=recompute)
        assert returned is sums
        total += loss
    assert abs(total - whole) < 1e-12
    assert distance(sums, grads) < 1e-11


@KINDS
def test_recomputing_gives_the_same_bits_and_holds_less(shape):
    model = small(shape, dropout=0.3, dtype="float32")
    plain, cache = model.forward(*batch(), dropout_key=2, documents=np.array([[0, 0, 1, 1, 1]] * 2))
    again, small_cache = model.forward(*batch(), dropout_key=2, documents=np.array([[0, 0, 1, 1, 1]] * 2), recompute=True)
    assert plain == again
    assert same_bits(model.backward(cache), model.backward(small_cache)) == []
    assert held(small_cache).total < held(cache).total / 2


@KINDS
def test_gradients_are_added_to_those_collected(shape):
    model = small(shape)
    _, once = model.loss_and_grads(*batch())
    collected = model.params.zeros()
    collected.flat[...] = 0.5
    model.loss_and_grads(*batch(), into=collected)
    assert distance({name: collected[name] - 0.5 for name in once}, once) < 1e-12


@KINDS
@pytest.mark.parametrize("recompute", [False, True])
def test_backward_twice_gives_the_same_bits(shape, recompute):
    model = small(shape, dropout=0.2)
    _, cache = model.forward(*batch(), dropout_key=1, recompute=recompute)
    assert same_bits(model.backward(cache), model.backward(cache)) == []


@KINDS
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_forward_and_backward_change_neither_parameters_nor_batch(shape, dtype):
    model, (tokens, targets) = small(shape, dtype, dropout=0.2), batch(ignored=1)
    before = model.params.flat.tobytes(), tokens.tobytes(), targets.tobytes()
    model(tokens)
    model.loss_and_grads(tokens, targets, dropout_key=1, recompute=True)
    assert (model.params.flat.tobytes(), tokens.tobytes(), targets.tobytes()) == before


def test_the_same_call_gives_the_same_bits():
    model = small(dtype="float32")
    (one, grads), (other, again) = (model.loss_and_grads(*batch()) for _ in range(2))
    assert one == other and same_bits(grads, again) == []


def test_gradients_have_the_names_and_shapes_of_the_parameters():
    model = small(GPT2)
    _, grads = model.loss_and_grads(*batch())
    assert {name: grad.shape for name, grad in grads.items()} == {name: view.shape for name, view in model.params.items()}
    assert grads.flat.shape == model.params.flat.shape


def test_a_tied_matrix_collects_from_both_ends():
    """Tied and untied models with the same numbers: the tied gradient is the sum of the two."""
    tied, untied = small(LLAMA, tied=True), small(LLAMA)
    for name in tied.params:
        untied.params[name][...] = tied.params[name]
    untied.params["output.weight"][...] = tied.params["embedding.weight"]
    (loss, together), (same, apart) = tied.loss_and_grads(*batch()), untied.loss_and_grads(*batch())
    assert abs(loss - same) < 1e-12
    np.testing.assert_allclose(together["embedding.weight"], apart["embedding.weight"] + apart["output.weight"], rtol=1e-10)


def test_keys_shared_by_all_queries_are_as_if_each_had_a_copy():
    """Multi-query attention is multi-head attention with equal key heads; the shared gradient is the sum of theirs."""
    shared, copied = small(LLAMA, num_heads=3, num_kv_heads=1, head_size=2), small(LLAMA, num_heads=3, num_kv_heads=3, head_size=2)
    for name, view in shared.params.items():
        copied.params[name][...] = np.tile(view, 3) if ".key." in name or ".value." in name else view
    (loss, few), (same, many) = shared.loss_and_grads(*batch()), copied.loss_and_grads(*batch())
    assert abs(loss - same) < 1e-12
    for name in ("layers.0.key.weight", "layers.1.value.weight"):
        np.testing.assert_allclose(few[name], sum(np.split(many[name], 3, axis=1)), rtol=1e-9, atol=1e-12)


# --- precisions ------------------------------------------------------------------------------------------------------------------

@KINDS
def test_float32_agrees_with_float64(shape):
    narrow, wide = small(shape, "float32", scale=0.5), small(shape, scale=0.5)
    wide.params.flat[...] = 0
    for name, view in narrow.params.items():
        wide.params[name][...] = view
    (loss, grads), (exact, exact_grads) = narrow.loss_and_grads(*batch()), wide.loss_and_grads(*batch())
    assert abs(loss / exact - 1) < 1e-6
    assert distance(grads, exact_grads) < 1e-4
    assert grads["embedding.weight"].dtype == np.float32 and narrow(batch()[0]).dtype == np.float32


@KINDS
@pytest.mark.parametrize("dtype, tolerance", [("bfloat16", 0.05), ("float16", 0.007)])
@pytest.mark.parametrize("recompute", [False, True])
def test_16_bit_models_have_float32_gradients_near_the_exact_ones(shape, dtype, tolerance, recompute):
    half, full = small(shape, dtype, scale=0.3, dropout=0.1), small(shape, "float32", scale=0.3, dropout=0.1)
    enlarge(full, 0.3)
    (loss, grads), (exact, exact_grads) = (m.loss_and_grads(*batch(), dropout_key=4, recompute=recompute) for m in (half, full))
    assert half(batch()[0]).dtype == np.dtype(dtype), "it must really compute in 16 bits"
    assert {grad.dtype for grad in grads.values()} == {np.dtype("float32")}
    assert loss != exact and abs(loss - exact) < tolerance * exact
    assert np.linalg.norm(grads.flat - exact_grads.flat) < 2 * tolerance * np.linalg.norm(exact_grads.flat)


def test_16_bit_models_see_a_change_of_their_masters():
    model = small(dtype="bfloat16", scale=0.3)
    before = model.forward(*batch())[0]
    enlarge(model, 0.3, seed=5)
    assert model.forward(*batch())[0] != before


# --- learning --------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("shape, dtype", [(LLAMA, "float32"), (GPT2, "float32"), (FIRST, "float32"), (LLAMA, "bfloat16")],
                         ids=["llama", "gpt2", "first", "llama in bfloat16"])
def test_a_few_steps_on_one_batch_learn_it_by_heart(shape, dtype):
    sizes = dict(d_model=24, num_heads=4, num_kv_heads=2, head_size=6, d_ff=48)
    model = Transformer(Config(**(shape | sizes)), dtype=dtype)
    tokens, targets = batch(2, 8)
    m, v = model.params.zeros(), model.params.zeros()
    first, _ = model.forward(tokens, targets)
    for step in range(1, 41):
        _, grads = model.loss_and_grads(tokens, targets)
        adamw(model.params.flat, grads.flat, m.flat, v.flat, step, lr=0.02, beta2=0.95, decayed=model.params.num_matrix_numbers)
    last, _ = model.forward(tokens, targets)
    assert last < first / 5, f"from {first:.3f} to {last:.3f}"


# --- the sentences --------------------------------------------------------------------------------------------------------------

ODD = np.array([[1, 2, 3]])


@pytest.mark.parametrize("call, words", [
    (dict(tokens=np.array([[1, 2, 11]])), ["Token 11", "row 0, position 2", "vocabulary of 11", "tokenizer"]),
    (dict(tokens=np.array([[1, 2, 3], [1, -1, 2]])), ["Token -1", "row 1, position 1"]),
    (dict(targets=np.array([[1, 2, 11]])), ["Target 11", "row 0, position 2", "-100"]),
    (dict(targets=np.array([[-1, 2, 5]])), ["Target -1", "row 0, position 0", "-100"]),
    (dict(targets=np.array([[1, 2]])), ["targets", "(1, 3)", "(1, 2)"]),
    (dict(documents=np.array([[1, 1, 1, 2]])), ["documents", "(1, 3)", "(1, 4)"]),
    (dict(tokens=np.array([1, 2, 3])), ["(texts, positions)", "(3,)"]),
    (dict(tokens=np.zeros((1, 0), int)), ["(1, 0)"]),
    (dict(tokens=np.zeros((0, 3), int)), ["(0, 3)"]),
    (dict(tokens=np.array([[1.0, 2.0, 3.0]])), ["whole numbers", "float64"]),
    (dict(tokens=np.ones((1, 10), int), targets=np.ones((1, 10), int)), ["10 tokens", "max_seq_len = 9"]),
], ids=str)
def test_a_batch_that_cannot_be_read_is_a_sentence(call, words, unchecked):
    with pytest.raises(ValueError) as told:
        small(GPT2).forward(**(dict(tokens=ODD, targets=call.get("tokens", ODD)) | call))
    assert [word for word in words if word not in str(told.value)] == [], str(told.value)


def test_the_logits_are_refused_with_the_same_sentences():
    with pytest.raises(ValueError, match="Token 12 in row 0, position 1"):
        small()(np.array([[1, 12]]))
    with pytest.raises(ValueError, match="10 tokens"):
        small(GPT2)(np.ones((1, 10), int))


def test_rope_and_waves_go_beyond_the_longest_text_of_training():
    for model in (small(LLAMA), small(FIRST)):
        assert np.isfinite(model(np.ones((1, 20), int))).all()


@pytest.mark.parametrize("options, words", [
    (dict(dtype="int8"), "float64, float32, float16 or bfloat16, not in 'int8'"), (dict(dtype="half precision"), "not in 'half precision'"),
    (dict(device="tpu"), "\"cpu\" or \"cuda\", not 'tpu'"),
])
def test_an_unknown_precision_or_device_is_a_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        Transformer(Config(**LLAMA), **options)
