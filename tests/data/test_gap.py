"""The gap to the known entropy is honest: the exact distribution, put through the same evaluation, reads 0.000."""

from math import isclose, log

import numpy as np
import pytest
from minillm import Config, Tokenizer, Transformer
from minillm.data import tales
from minillm.data.batches import IGNORE
from minillm.data.corpora import corpus
from minillm.data.gap import compare, document_nats, measure
from minillm.data.tales.choices import END, Reading
from minillm.data.tales.plots import tell
from minillm.data.tokens import encode

CONTEXT = 256


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(iter(corpus("tales", num_tales=150)), vocab_size=512, special_tokens=["<|endoftext|>"])


@pytest.fixture(scope="module")
def documents(tokenizer, tmp_path_factory):
    return encode(corpus("tales", num_tales=40, seed=9), tokenizer, tmp_path_factory.mktemp("tokens")).split(0.5)[1]


class Costs(Reading):
    """Reads a tale, and notes up to which character each choice is settled, and what it costs."""

    def __init__(self, text):
        super().__init__(text)
        self.costs = []

    def one_of(self, *texts):
        before = self.nats
        i = super().one_of(*texts)
        self.costs.append((self.at - 1, self.nats - before))
        return i

    def draw(self, words, taken=()):
        before = self.nats
        i = super().draw(words, taken)
        self.costs.append((self.at - 1, self.nats - before))
        return i


class Exact:
    """The grammar as a model: tokens to logits. A choice's probability is charged to the token with its last character; what is
    left of 1 goes to some other token."""

    def __init__(self, tokenizer, factor=1.0):
        self.tokenizer, self.factor, self.end = tokenizer, factor, tokenizer.special_tokens["<|endoftext|>"]

    def __call__(self, tokens):
        logits = np.full((*tokens.shape, self.tokenizer.vocab_size), -np.inf)
        for row, ids in zip(logits, tokens.tolist()):
            n = len(ids)
            while n > 1 and ids[n - 1] == self.end:          # padding
                n -= 1
            reading = Costs(self.tokenizer.decode(ids[1:n]))
            tell(reading, tales.WORLD)
            reading.finish()
            token_of = np.repeat(np.arange(n), [*[len(self.tokenizer.decode([i])) for i in ids[1:n]], len(END)])
            costs = np.zeros(n)
            for at, nats in reading.costs:
                costs[token_of[at]] += nats * self.factor
            for position, (target, cost) in enumerate(zip([*ids[1:n], self.end], costs)):
                row[position, (target + 1) % row.shape[-1]] = np.log(-np.expm1(-cost)) if cost else -np.inf
                row[position, target] = -cost
        return logits


def test_the_exact_scorer_put_through_the_same_evaluation_reads_zero(documents, tokenizer):
    gap = measure(Exact(tokenizer), documents, tokenizer.decode, tales.score, CONTEXT)
    assert gap.documents == len(documents) and gap.left_out == 0
    assert abs(gap.per_byte) < 1e-9 and gap.error < 1e-9 and f"{gap.per_byte:.3f}".lstrip("-") == "0.000", str(gap)
    entropy = tales.entropy(500)
    assert isclose(gap.exact, entropy.per_byte, rel_tol=0.15)


def test_a_model_that_pays_a_tenth_more_is_a_tenth_above(documents, tokenizer):
    gap = measure(Exact(tokenizer, factor=1.1), documents, tokenizer.decode, tales.score, CONTEXT)
    assert isclose(gap.per_byte, 0.1 * gap.exact, rel_tol=1e-6) and isclose(gap.model, 1.1 * gap.exact, rel_tol=1e-6)


def test_documents_beyond_the_context_are_left_out_and_counted(documents, tokenizer):
    middle = int(np.median(documents.sizes))
    gap = measure(Exact(tokenizer), documents, tokenizer.decode, tales.score, middle)
    assert gap.documents == int((documents.sizes <= middle).sum()) and gap.documents + gap.left_out == len(documents)
    assert abs(gap.per_byte) < 1e-9 and "too long for the context" in str(gap)
    with pytest.raises(ValueError, match="none of them fits"):
        measure(Exact(tokenizer), documents, tokenizer.decode, tales.score, 3)


def test_the_nats_of_a_real_model_are_its_loss_times_its_targets(documents, tokenizer):
    config = Config(vocab_size=tokenizer.vocab_size, d_model=16, num_layers=1, num_heads=2, d_ff=24, max_seq_len=CONTEXT)
    model = Transformer(config, seed=0)
    ids = np.stack([documents.document(i)[:40] for i in range(3)])
    targets = np.where(np.arange(39) < [[39], [20], [1]], ids[:, 1:], IGNORE)
    nats = document_nats(model(ids[:, :-1]), targets)
    for i in range(3):
        loss, _ = model.forward(ids[i:i + 1, :-1], targets[i:i + 1])
        assert isclose(float(loss) * (targets[i] != IGNORE).sum(), nats[i], rel_tol=1e-5)
    gap = measure(model, documents[:8], tokenizer.decode, tales.score, CONTEXT)
    per_token = gap.model * sum(len(tokenizer.decode(documents.document(i)[:-1].tolist())) for i in range(8)) / documents[:8].num_tokens
    assert isclose(per_token, log(tokenizer.vocab_size), rel_tol=0.05), "an untrained model knows nothing"


def test_the_standard_error_is_that_of_the_ratio():
    """Against the scatter of the gap itself over many samples."""
    rng = np.random.default_rng(0)
    gaps, errors = [], []
    for _ in range(600):
        size = rng.integers(200, 700, 50)
        exact = 0.08 * size + rng.normal(0, 5, 50)
        gap = compare(exact + 0.02 * size + rng.normal(0, 2, 50), exact, size)
        gaps.append(gap.per_byte)
        errors.append(gap.error)
    assert isclose(np.mean(gaps), 0.02, rel_tol=0.02)
    assert isclose(np.std(gaps), np.mean(errors), rel_tol=0.1), f"scatter {np.std(gaps):.6f}, claimed {np.mean(errors):.6f}"
