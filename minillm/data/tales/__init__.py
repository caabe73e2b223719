"""Tales: a corpus of small stories whose entropy is known, without end and without a download.

    tales.generate(seed=0, n=1000)      tale i is a function of (seed, i)
    tales.score(text)                   −log p(text) in nats, exactly; of a text that is no tale it says where it stops being one
    tales.parse(text)                   also the plot, the choices and the question
    tales.entropy()                     the mean of −log p: no model in the world can have a lower loss on tales
    tales.questions(seed=1, n=100)      what tales ask at their ends, as multiple choice

The grammar is plots.py, with the sentences of tale.py; words.py has its words; choices.py is how one grammar both writes and reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from math import sqrt
from random import Random
from typing import NamedTuple

from .choices import Reading, Telling, Weighing
from .plots import tell
from .tale import Fact, Tale
from .words import World

__all__ = ["CHOICES", "Derivation", "Entropy", "Question", "World", "entropy", "generate", "parse", "questions", "score", "stream"]

WORLD = World()
CHOICES = 4         # of each question: whoever guesses is right once in four times


def _random(seed: int, i: int, purpose: str = "tale") -> Random:
    return Random(f"{purpose} {i} of {seed}")       # from a string, Python seeds by SHA-512: neighbours have nothing in common


def stream(seed: int = 0, start: int = 0, world: World = WORLD) -> Iterator[str]:
    """Tales number start, start + 1, … of a seed, without end."""
    for i in count(start):
        telling = Telling(_random(seed, i))
        tell(telling, world)
        yield telling.text


def generate(seed: int = 0, n: int = 1, start: int = 0, world: World = WORLD) -> list[str]:
    return list(islice(stream(seed, start, world), n))


@dataclass(frozen=True)
class Derivation:
    """How the grammar makes a text: the one way in which it can."""

    nats: float                 # −log p
    plot: str
    choices: tuple[int, ...]    # which alternative, at each choice
    facts: tuple[Fact, ...]     # what it could ask
    asked: Fact | None          # what it does ask


def parse(text: str, world: World = WORLD) -> Derivation:
    """Raises ValueError, with a sentence that says where and why, for a text that is no tale."""
    reading = Reading(text)
    tale = tell(reading, world)
    reading.finish()
    return Derivation(reading.nats, tale.plot, tuple(reading.choices), tuple(tale.facts), tale.asked)


def score(text: str, world: World = WORLD) -> float:
    """−log p(text) in nats."""
    return parse(text, world).nats


class Entropy(NamedTuple):
    """In nats; divide by log 2 for bits."""

    per_tale: float
    error: float                # the standard error of per_tale
    per_byte: float             # that of a text of many tales; what separates one tale from the next counts as no byte


def entropy(n: int = 2000, seed: int = 0, world: World = WORLD) -> Entropy:
    """Estimated from n tales: the mean, over tales, of the sum of the entropies of all choices in them."""
    total = squares = size = 0.0
    for i in range(n):
        weighing = Weighing(_random(seed, i))
        tell(weighing, world)
        total += weighing.entropy
        squares += weighing.entropy ** 2
        size += len(weighing.text)              # tales are ASCII: one byte a character
    variance = max(0.0, squares / n - (total / n) ** 2) * n / max(1, n - 1)
    return Entropy(total / n, sqrt(variance / n), total / size)


# --- questions -------------------------------------------------------------------------------------------------------------

class Question(NamedTuple):
    """Which of the choices goes on with the prompt?"""

    prompt: str                 # a tale, its question, and "Answer:"
    choices: tuple[str, ...]    # each begins with the space that follows the colon
    right: int


def questions(seed: int = 0, n: int = 100, world: World = WORLD) -> list[Question]:
    """The questions of the first n tales that end with one. Wrong choices come from the tale itself as far as there are such
    (so "somebody who is in the tale" is no good answer), and then from the world."""
    found = []
    for i in count():
        if len(found) == n:
            return found
        telling = Telling(_random(seed, i))
        tale = tell(telling, world)
        if tale.asked:
            found.append(_question(telling.text, tale, _random(seed, i, "question")))


def _question(text: str, tale: Tale, random: Random) -> Question:
    kind, right, near = tale.asked.kind, tale.asked.answer, tale.taken[tale.asked.kind]
    every = tale.world.answers(kind)
    close = [every[i] for i in near if every[i] != right]
    far = [answer for i, answer in enumerate(every) if i not in near]
    wrong = (random.sample(close, len(close)) + random.sample(far, len(far)))[:CHOICES - 1]
    choices = random.sample([right, *wrong], 1 + len(wrong))
    return Question(text[:text.rindex("Answer:")] + "Answer:", tuple(f" {choice}." for choice in choices), choices.index(right))
