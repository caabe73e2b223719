"""Multiple choice: which of several continuations does a model find likeliest, for their length?

    score(choice) = −log p(choice | prompt) / characters of choice          the lowest is the model's answer

Without the division a model would prefer short answers. Characters rather than tokens, so that models with different tokenizers are
asked the same. Whoever guesses is right 1/(number of choices) of the time: that mean is the level of chance. The standard error of
the share of right answers a among n is √(a (1 − a) / (n − 1)).

Where the prompt's last token would grow into the choice (a tokenizer may join the two), what counts begins with the first token in which
any of the texts differs from the prompt alone: the piece of the prompt in it is the same for all choices.
"""

from collections.abc import Sequence
from math import nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..data import tales
from ..data.tales import Question
from ..tokenizer.files import end_of_document_id
from .likelihood import context_of, nats_of_rows


class Answers(NamedTuple):
    accuracy: float
    error: float                    # its standard error
    chance: float
    given: tuple[int, ...]          # which choice, for each question
    scores: tuple[tuple[float, ...], ...]       # nats per character, of each choice of each question


def multiple_choice(model: Any, tokenizer: Any, questions: Sequence[Question], context: int | None = None, batch_size: int = 16,
                    progress: bool = False) -> Answers:
    """Puts the questions. A prompt that is too long for the context loses its beginning."""
    if not questions:
        raise ValueError("There are no questions to put.")
    context = context or context_of(model)
    rows = [row for question in questions for row in spelled(tokenizer, question, context)]
    nats = nats_of_rows(model, [len(ids) - 1 for ids, _ in rows], rows.__getitem__, batch_size, progress)
    scores, at = [], 0
    for question in questions:
        size = len(question.choices)
        scores.append(tuple((nats[at:at + size] / [len(choice) for choice in question.choices]).tolist()))
        at += size
    given = tuple(int(np.argmin(each)) for each in scores)
    right, n = sum(answer == question.right for answer, question in zip(given, questions)), len(questions)
    accuracy = right / n
    error = sqrt(accuracy * (1 - accuracy) / (n - 1)) if n > 1 else nan
    return Answers(accuracy, error, sum(1 / len(question.choices) for question in questions) / n, given, tuple(scores))


def tales_questions(model: Any, tokenizer: Any, n: int = 200, seed: int = 1, context: int | None = None, batch_size: int = 16,
                    progress: bool = False) -> dict[str, Any]:
    """The share of right answers to n questions of the tales, as plain numbers. The built-in corpus has the tales of seed 0, so another
    seed asks about tales that a model trained on it has not seen."""
    if n < 1:
        raise ValueError(f"At least one question must be put, not {n}.")
    if tokenizer is None:
        raise ValueError("The model came without a tokenizer, so it can't read questions. Save the two together: "
                         "minillm.save(folder, model, tokenizer).")
    answers = multiple_choice(model, tokenizer, tales.questions(seed, n), context, batch_size, progress)
    return {"questions": n, "accuracy": answers.accuracy, "accuracy_error": None if n == 1 else answers.error, "chance": answers.chance}


def spelled(tokenizer: Any, question: Question, context: int) -> list[tuple[list[int], int]]:
    """For each choice the ids of prompt and choice, after an end of document as in training, and how many inputs don't count."""
    end = end_of_document_id(tokenizer, None)
    front = [] if end is None else [end]
    prompt = front + tokenizer.encode(question.prompt)
    texts = [front + tokenizer.encode(question.prompt + choice) for choice in question.choices]
    shared = min(common(prompt, text) for text in texts)
    rows = []
    for choice, text in zip(question.choices, texts):
        if not shared or len(text) - shared > context:
            raise ValueError(f"The choice {choice!r} can't be judged after a prompt of {len(prompt)} tokens: it needs at least one token before it, "
                             f"and with it at most {context + 1}.")
        cut = max(0, len(text) - context - 1)
        rows.append((text[cut:], shared - cut - 1))
    return rows


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids are the same at the beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
