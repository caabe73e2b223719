"""Multiple choice: who knows is always right, who guesses as often as chance has it, and length is no advantage."""

from math import isclose, sqrt

import numpy as np
import pytest
from minillm import Config, Tokenizer, Transformer
from minillm.data import tales
from minillm.data.corpora import corpus
from minillm.data.tales import Question
from minillm.evaluation import multiple_choice, tales_questions

QUESTIONS = tales.questions(seed=1, n=60)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(iter(corpus("tales", num_tales=100)), 400, special_tokens=["<|endoftext|>"])


def untrained(tokenizer, seed=0, **changes):
    shape = dict(vocab_size=tokenizer.vocab_size, d_model=8, num_layers=1, num_heads=1, d_ff=8, max_seq_len=256)
    return Transformer(Config(**shape | changes), seed)


class Knowing:
    """Goes on with one of the true tales: −log p is small for what is in them, large for all else."""

    def __init__(self, tokenizer, texts):
        end = tokenizer.special_tokens["<|endoftext|>"]
        self.known, self.vocab_size = {}, tokenizer.vocab_size
        for text in texts:
            ids = [end, *tokenizer.encode(text)]
            self.known |= {tuple(ids[:n]): ids[n] for n in range(len(ids) - 12, len(ids))}

    def __call__(self, tokens):
        logits = np.zeros((*tokens.shape, self.vocab_size))
        for row, ids in zip(logits, tokens.tolist()):
            for n in range(1, len(ids) + 1):
                if (target := self.known.get(tuple(ids[:n]))) is not None:
                    row[n - 1, target] = 20
        return logits


def test_who_knows_the_answers_gets_all_and_who_knows_the_wrong_ones_none(tokenizer):
    truth = Knowing(tokenizer, [question.prompt + question.choices[question.right] for question in QUESTIONS])
    found = multiple_choice(truth, tokenizer, QUESTIONS, context=400)
    assert found.accuracy == 1.0 and found.error == 0.0 and found.chance == 0.25
    assert found.given == tuple(question.right for question in QUESTIONS)
    wrong = Knowing(tokenizer, [question.prompt + question.choices[question.right - 1] for question in QUESTIONS])
    assert multiple_choice(wrong, tokenizer, QUESTIONS, context=400).accuracy == 0.0


def test_who_guesses_is_right_as_often_as_chance_has_it(tokenizer):
    found = tales_questions(untrained(tokenizer), tokenizer, n=400, batch_size=64)
    expected = sqrt(0.25 * 0.75 / 400)
    assert found["chance"] == 0.25 and abs(found["accuracy"] - 0.25) < 4 * expected
    assert isclose(found["accuracy_error"], expected, rel_tol=0.2)


def test_the_score_is_nats_per_character_from_the_plain_logits(tokenizer):
    model = untrained(tokenizer)
    question = QUESTIONS[0]
    scores = multiple_choice(model, tokenizer, [question]).scores[0]
    for choice, score in zip(question.choices, scores):
        prompt = [tokenizer.special_tokens["<|endoftext|>"], *tokenizer.encode(question.prompt)]
        ids = tokenizer.encode(choice)
        x = model(np.array([prompt + ids]))[0, len(prompt) - 1:-1].astype(np.float64)
        nats = (np.log(np.exp(x).sum(-1)) - x[np.arange(len(ids)), ids]).sum()
        assert isclose(score, nats / len(choice), rel_tol=1e-5)


def test_a_uniform_model_prefers_few_tokens_per_character_and_not_short_answers(tokenizer):
    model = Transformer(untrained(tokenizer).config, seed=None)
    question = Question("Where? Answer:", (" near the window.", " x."), 0)
    found = multiple_choice(model, tokenizer, [question])
    tokens = [len(tokenizer.encode(choice)) for choice in question.choices]
    assert tokens[0] >= tokens[1] and found.given == (0,), "without the division the short one would win"
    np.testing.assert_allclose(found.scores[0], [np.log(tokenizer.vocab_size) * n / len(c) for n, c in zip(tokens, question.choices)], rtol=1e-6)


def test_chance_is_the_mean_over_questions_of_different_sizes(tokenizer):
    questions = [Question("A:", (" b.", " c."), 0), Question("A:", (" b.", " c.", " d.", " e."), 0)]
    found = multiple_choice(untrained(tokenizer), tokenizer, questions)
    assert found.chance == (1 / 2 + 1 / 4) / 2


def test_a_token_that_reaches_from_the_prompt_into_a_choice_is_counted_for_all():
    """Without a pattern a tokenizer may join the colon and what follows it: all four are then judged from the colon on."""
    joining = Tokenizer.train(["Answer: red Answer: red Answer: red Answer: old"] * 9, 280, pattern="none", special_tokens=["<|endoftext|>"])
    question = Question("Answer:", (" red", " old", " blue"), 0)
    prompt = joining.encode(question.prompt)
    assert joining.encode(question.prompt + " red")[:len(prompt)] != prompt, "nothing is joined, so nothing is tested"
    model = Transformer(Config(vocab_size=280, d_model=8, num_layers=1, num_heads=1, d_ff=8, max_seq_len=64), seed=None)
    shared = 0
    while len({tuple(ids[:shared + 1]) for ids in [prompt, *(joining.encode(question.prompt + c) for c in question.choices)]}) == 1:
        shared += 1
    for choice, score in zip(question.choices, multiple_choice(model, joining, [question]).scores[0]):
        n = len(joining.encode(question.prompt + choice)) - shared
        assert isclose(score, n * np.log(280) / len(choice), rel_tol=1e-5)


def test_a_prompt_beyond_the_context_loses_its_beginning(tokenizer):
    question = QUESTIONS[1]
    model = untrained(tokenizer, max_seq_len=40)
    scores = multiple_choice(model, tokenizer, [question]).scores[0]
    for choice, score in zip(question.choices, scores):
        ids, n = tokenizer.encode(question.prompt + choice)[-41:], len(tokenizer.encode(choice))
        assert isclose(score, model.nats(np.array([ids[:-1]]), np.array([[*[-100] * (40 - n), *ids[-n:]]]))[0] / len(choice), rel_tol=1e-6)


def test_what_can_not_be_asked_is_told(tokenizer):
    with pytest.raises(ValueError, match="no questions"):
        multiple_choice(untrained(tokenizer), tokenizer, [])
    with pytest.raises(ValueError, match="can't be judged after a prompt of .* with it at most 4"):
        multiple_choice(untrained(tokenizer, max_seq_len=3), tokenizer, QUESTIONS[:1])
    with pytest.raises(ValueError, match="At least one question"):
        tales_questions(untrained(tokenizer), tokenizer, n=0)
    with pytest.raises(ValueError, match="without a tokenizer"):
        tales_questions(untrained(tokenizer), None)
