"""How good a model is: how well it predicts a text, how far it is from the best possible, which of several answers it prefers.

    likelihood.py     loss, perplexity and bits per byte of whole documents, with standard errors
    choices.py        multiple choice, with the level of chance
    text.py           what to evaluate on: token shards, built-in corpora, files

    report = evaluate(model, tokenizer, ["tales"], split="validation")
    answers = multiple_choice(model, tokenizer, tales.questions(seed=1, n=200))
"""

from .choices import Answers, multiple_choice, tales_questions
from .likelihood import Likelihood, measure
from .text import Report, evaluate, own_tokens

__all__ = ["Answers", "Likelihood", "Report", "evaluate", "measure", "multiple_choice", "own_tokens", "tales_questions"]
