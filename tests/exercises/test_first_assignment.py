"""The first assignment's own references do what the library does."""

from types import SimpleNamespace

import numpy as np
import pytest
from minillm.data.batches import Batches
from minillm.data.tokens import Documents
from minillm.exercises import batches, bigram, bpe_encode, bpe_merge
from minillm.model import Bigram
from minillm.tokenizer import Tokenizer, naive


class Text(Documents):
    """One document in memory."""

    def __init__(self, ids):
        self.ids, self.tokens = ids, SimpleNamespace(end=0)

    num_tokens = property(lambda self: len(self.ids))

    def read(self, begin, end):
        return self.ids[begin:end], np.zeros(end - begin, np.int64)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_the_bigram_is_the_librarys_counted_one(alpha):
    tokens = np.random.default_rng(0).integers(0, 5, 30)
    model = Bigram.counted(tokens[None, :-1], tokens[None, 1:], vocab_size=6, alpha=alpha)
    table = bigram.counts(tokens, 6)
    p = bigram.probabilities(table, alpha)
    assert table.sum() == 29
    np.testing.assert_allclose(p, np.exp(model.params["bigram.weight"]), rtol=1e-12)
    loss, _ = model.forward(tokens[None, :-1], tokens[None, 1:])
    assert bigram.perplexity(p, tokens) == pytest.approx(np.exp(loss), rel=1e-12)


@pytest.mark.parametrize("n, t", [(13, 4), (12, 4), (5, 7)])
def test_an_epoch_is_the_librarys_sequential_one(n, t):
    tokens = 1 + np.random.default_rng(n).permutation(50)[:n]
    inputs, targets = batches.epoch(tokens, t)
    expected = Batches(Text(tokens), len(inputs), t, order="sequential").batch(0)
    rows = np.argsort([list(inputs[:, 0]).index(first) for first in expected.tokens[:, 0]])
    np.testing.assert_array_equal(targets, expected.targets[rows])
    counted = targets != -100
    np.testing.assert_array_equal(inputs[counted], expected.tokens[rows][counted])
    assert (inputs[~counted] == 0).all()


def test_windows_are_where_the_library_cuts_them():
    tokens = np.random.default_rng(1).integers(0, 99, 20)
    library = Batches(Text(tokens), 4, 6, order="random", seed=3)
    assert library._places(0) == library._places(0) and max(max(library._places(step)) for step in range(200)) == batches.num_starts(20, 6) - 1
    inputs, targets = batches.batch(tokens, np.array(library._places(5)), 6)
    np.testing.assert_array_equal(inputs, library.batch(5).tokens)
    np.testing.assert_array_equal(targets, library.batch(5).targets)


def test_merge_after_merge_learns_what_the_library_learns():
    pieces = {b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3, b"aaaa": 4, "für".encode(): 6}
    words, counts, merges = [[bytes([byte]) for byte in piece] for piece in pieces], list(pieces.values()), []
    while (pair := bpe_merge.best_pair(words, counts)) is not None:
        merges.append(pair)
        words = [naive.glue(word, pair) for word in words]
    assert merges == naive.train_bpe(pieces, 1000)


def test_decode_is_the_tokenizers():
    tokenizer = Tokenizer.train(["naïve Ωμέγα naïve Ωμέγα, 日本語"] * 3, vocab_size=300)
    vocabulary = [tokenizer.token_bytes([i]) for i in range(tokenizer.vocab_size)]
    for text in ("naïve Ωμέγα", "日本語", "çã 🪅"):      # the last has no tokens of its own, only bytes
        ids = list(tokenizer.encode(text))
        for end in range(len(ids) + 1):
            assert bpe_encode.decode(ids[:end], vocabulary) == tokenizer.decode(ids[:end])
