"""Loss, perplexity and bits per byte: of known models by hand, of real ones by an independent computation."""

from math import exp, isclose, log, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm import Bigram, Config, Tokenizer, Transformer, arrays
from minillm.data.tokens import encode
from minillm.evaluation import measure
from minillm.evaluation.likelihood import nats_of_batch, windows

TEXTS = ["the cat sat on the mat and thought about nothing at all. " * 3, "a dog.", "Ein Bär saß müde im Gras.", "x",
         "whoever reads this text has read a longer one than most of the others in here, which is why it stands here. " * 2]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS * 3, 290, special_tokens=["<|endoftext|>"])


@pytest.fixture(scope="module")
def documents(tokenizer, tmp_path_factory):
    return encode(TEXTS, tokenizer, tmp_path_factory.mktemp("tokens")).documents


def transformer(tokenizer, seed=0, **changes):
    shape = dict(vocab_size=tokenizer.vocab_size, d_model=16, num_layers=2, num_heads=2, d_ff=24, max_seq_len=32, initialisation="fan_in")
    model = Transformer(Config(**shape | changes), seed, dtype="float64")
    if seed is not None:
        for view in model.params.values():
            view += np.random.default_rng(seed).normal(0, 0.3, view.shape)
    return model


def one_by_one(model, documents, context, stride):
    """The nats of each document, from the model's plain logits: every token predicted by itself, from what the convention lets it see."""
    nats = []
    for i in range(len(documents)):
        ids = [documents.tokens.end, *documents.document(i).tolist()]
        total = 0.0
        for target in range(1, len(ids)):
            window = 0 if target <= context else -(-(target - context) // stride)       # the first that reads as far as this
            x = model(np.array([ids[window * stride:target]]))[0, -1]
            total += log(np.exp(x - x.max()).sum()) + x.max() - x[ids[target]]
        nats.append(total)
    return nats


@pytest.mark.parametrize(("context", "stride"), [(32, 16), (32, 32), (32, 1), (7, 3), (1, 1)])
def test_the_loss_is_that_of_each_token_predicted_by_itself(documents, tokenizer, context, stride, unchecked):
    model = transformer(tokenizer)
    expected = one_by_one(model, documents, context, stride)
    for batch_size in (1, 3, 16):
        found = measure(model, documents, tokenizer, context, stride, batch_size)
        np.testing.assert_allclose(found.nats, expected, rtol=1e-10)
    assert found.tokens.tolist() == [len(tokenizer.encode(text)) + 1 for text in TEXTS], "each token is predicted, and the end"
    assert found.bytes.tolist() == [len(text.encode()) for text in TEXTS]


def test_by_default_a_window_is_the_models_context_and_steps_by_half_of_it(documents, tokenizer):
    model = transformer(tokenizer)
    assert max(documents.sizes) > 40, "the texts are too short for more than two windows"
    np.testing.assert_array_equal(measure(model, documents, tokenizer).nats, measure(model, documents, tokenizer, 32, 16).nats)


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5), context=st.integers(1, 12), data=st.data())
def test_windows_count_every_target_once_with_enough_before_it(sizes, context, data):
    stride = data.draw(st.integers(1, context))
    counted = [[0] * size for size in sizes]
    for document, begin, first, end in windows(sizes, context, stride):
        assert begin <= first < end <= begin + context
        assert begin == 0 or first - begin == context - stride
        for target in range(first, end):
            counted[document][target] += 1
    assert counted == [[1] * size for size in sizes]


def test_a_uniform_model_needs_log2_of_the_vocabulary_bits_for_each_token(documents, tokenizer):
    found = measure(transformer(tokenizer, seed=None), documents, tokenizer)
    v, tokens, size = tokenizer.vocab_size, int(found.tokens.sum()), sum(len(text.encode()) for text in TEXTS)
    assert isclose(found.bits_per_byte[0], log2(v) * tokens / size, rel_tol=1e-12)
    assert isclose(found.loss[0], log(v), rel_tol=1e-12) and found.loss[1] < 1e-12, "no document is easier than another"
    assert isclose(found.perplexity[0], v, rel_tol=1e-10)


def test_the_figures_by_hand():
    from minillm.evaluation import Likelihood
    found = Likelihood(np.array([6.0, 2.0]), np.array([2, 1]), np.array([8, 4]))
    loss, error = found.loss
    assert isclose(loss, 8 / 3)
    assert isclose(error, (2 / 1 * ((6 - 16 / 3) ** 2 + (2 - 8 / 3) ** 2)) ** 0.5 / 3)
    assert isclose(found.perplexity[0], exp(8 / 3)) and isclose(found.perplexity[1], exp(8 / 3) * error)
    assert isclose(found.bits_per_byte[0], 8 / log(2) / 12)
    assert isclose(found.bits_per_byte[1], (2 * ((6 - 16 / 3) ** 2 + (2 - 8 / 3) ** 2)) ** 0.5 / log(2) / 12)
    alone = Likelihood(np.array([6.0]), np.array([2]), np.array([8]))
    assert alone.loss[0] == 3 and np.isnan(alone.loss[1]), "one document can't tell its error"
    assert Likelihood(np.array([np.inf, 1.0]), np.array([2, 1]), np.array([8, 4])).perplexity[0] == np.inf


def test_the_errors_are_those_of_documents_drawn_again(documents, tokenizer):
    """Against the scatter of the loss over many draws of documents, of tokens that hang together within a document."""
    from minillm.evaluation import Likelihood
    rng, losses, errors = np.random.default_rng(0), [], []
    for _ in range(500):
        tokens = rng.integers(10, 60, 40)
        loss, error = Likelihood(tokens * rng.normal(2, 0.3, 40), tokens, 4 * tokens).loss
        losses.append(loss)
        errors.append(error)
    assert isclose(np.std(losses), np.mean(errors), rel_tol=0.1)


def test_a_corpus_without_ends_only_reads_the_first_token(tokenizer, tmp_path):
    from minillm.data.shards import write_shard
    from minillm.data.tokens import Tokens
    ids = tokenizer.encode(TEXTS[0])
    write_shard(tmp_path, 0, np.array([*ids, *ids[:5]]), tokenizer=tokenizer.hash(), vocab_size=tokenizer.vocab_size, documents=[0, len(ids)])
    documents, model = Tokens(tmp_path).documents, transformer(tokenizer)
    found = measure(model, documents, tokenizer, 9, 4)
    assert found.tokens.tolist() == [len(ids) - 1, 4]
    assert found.bytes.tolist() == [len(TEXTS[0]), len(tokenizer.decode(ids[:5]))], "what is read is text, too"
    logits = model(np.array([ids[:4]]))[0]
    assert isclose(found.nats[1], sum(log(np.exp(x).sum()) - x[target] for x, target in zip(logits, ids[1:5])), rel_tol=1e-10)


def test_a_model_that_is_only_a_function_is_measured_the_same_way(documents, tokenizer):
    model = transformer(tokenizer)

    class Function:
        config = model.config

        def __call__(self, tokens):
            return model(tokens)

    np.testing.assert_allclose(measure(Function(), documents, tokenizer).nats, measure(model, documents, tokenizer).nats, rtol=1e-10)
    bigram = Bigram(tokenizer.vocab_size, dtype="float64")
    nats = sum(np.log(np.exp(bigram.params["bigram.weight"][a]).sum()) - bigram.params["bigram.weight"][a, b]
               for ids in ([tokenizer.special_tokens["<|endoftext|>"], *documents.document(i)] for i in range(5)) for a, b in zip(ids, ids[1:]))
    assert isclose(measure(bigram, documents, tokenizer, 8).nats.sum(), nats, rel_tol=1e-10)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_rows_and_change_nothing(documents, tokenizer, threads, monkeypatch):
    monkeypatch.setattr(arrays, "_threads", threads)
    model, rng = transformer(tokenizer), np.random.default_rng(0)
    tokens, targets = (rng.integers(0, tokenizer.vocab_size, (5, 9)) for _ in range(2))
    np.testing.assert_allclose(nats_of_batch(model, tokens, targets), [model.nats(t[None], y[None])[0] for t, y in zip(tokens, targets)], rtol=1e-12)


def test_a_gpu_gets_the_whole_batch_at_once(monkeypatch):
    """Several threads would only stand in each other's way there."""
    class OnGPU:
        device, asked = "cuda", []

        def nats(self, tokens, targets):
            self.asked.append(tokens.shape)
            return np.zeros(len(tokens))

    monkeypatch.setattr(arrays, "_threads", 3)
    tokens = np.zeros((5, 4), int)
    nats_of_batch(OnGPU(), tokens, tokens)
    assert OnGPU.asked == [(5, 4)]


def test_what_can_not_be_measured_is_told(documents, tokenizer, tmp_path):
    from minillm.data.shards import write_shard
    from minillm.data.tokens import Tokens
    model = transformer(tokenizer)
    for context, stride in ((8, 9), (8, -1)):
        with pytest.raises(ValueError, match=f"A stride of {stride} tokens doesn't do for windows of 8"):
            measure(model, documents, tokenizer, context, stride)
    write_shard(tmp_path, 0, np.array([5, 6]), tokenizer="", vocab_size=290, documents=[0, 1])
    with pytest.raises(ValueError, match="There is nothing to predict"):
        measure(model, Tokens(tmp_path).documents, tokenizer)
