"""A grammar as a sequence of choices: one description, which can both write a text and read it back.

A grammar is a function that is handed a Choices, and calls

    c.say(text)                 text that is certain to come next
    c.one_of(text, text, …)     one of several texts comes next; the answer is which
    c.draw(words, taken)        a word from a list comes next, but none that is taken; the answer is its place in the list

Handed a `Telling`, the function writes a text and each choice is drawn at random. Handed a `Reading`, the same function
follows a given text, and each choice is the alternative that the text goes on with. Both sum up

    nats = −Σ log p(choice | everything before it) = −log p(text)

and they agree as long as a text shows which alternative was taken. So none may be the beginning of another ("prefix-free";
the tests watch every choice point). Then one text has one derivation, and the probabilities of all texts sum to 1.

Every choice follows Zipf's law: of n alternatives the k-th has a probability in proportion to 1/k. Earlier is likelier.
"""

import functools
import re
from bisect import bisect
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from math import exp, log
from random import Random

END = "\0"          # stands where a text ends. "The text ends here" is then a choice like any other


class Zipf:
    """The probabilities of n alternatives: p_k ∝ 1/k."""

    def __init__(self, n: int):
        total = sum(1 / k for k in range(1, n + 1))
        self.p = tuple(1 / k / total for k in range(1, n + 1))
        self.below = tuple(accumulate(self.p))[:-1]         # the last step is missing, so that rounding can't lead beyond n
        self.nats = tuple(-log(p) for p in self.p)
        self.entropy = sum(p * nats for p, nats in zip(self.p, self.nats))


zipf = functools.cache(Zipf)


class Words:
    """A list of words, the most frequent first, none of which begins another."""

    def __init__(self, words: Sequence[str]):
        self.words, self.zipf = tuple(words), zipf(len(words))
        if found := not_prefix_free(self.words):
            raise ValueError(f"In a list of words, {found[0]!r} is the beginning of {found[1]!r}: a text wouldn't show which was meant.")
        self.places = {word: i for i, word in enumerate(self.words)}
        self.match = re.compile("|".join(map(re.escape, self.words))).match

    def nats(self, i: int, taken: Collection[int]) -> float:
        """−log p(word i), given that it is none of those taken."""
        if not taken:
            return self.zipf.nats[i]
        return self.zipf.nats[i] + log(1 - sum([self.zipf.p[j] for j in taken]))

    def entropy(self, taken: Collection[int]) -> float:
        """The mean of these nats."""
        free = [i for i in range(len(self.words)) if i not in taken]
        nats = [self.nats(i, taken) for i in free]
        return sum(exp(-n) * n for n in nats)


def not_prefix_free(texts: Sequence[str]) -> tuple[str, str] | None:
    """Two texts of which the first begins the second. In sorted order such two are neighbours."""
    ordered = sorted(texts)
    return next((pair for pair in zip(ordered, ordered[1:]) if pair[1].startswith(pair[0])), None)


class Telling:
    """Draws every choice. `text` is what was told."""

    def __init__(self, random: Random):
        self.random, self.parts, self.nats = random.random, [], 0.0
        self.say: Callable[[str], None] = self.parts.append

    def one_of(self, *texts: str) -> int:
        law = zipf(len(texts))
        i = bisect(law.below, self.random())
        self.parts.append(texts[i])
        self.nats += law.nats[i]
        return i

    def draw(self, words: Words, taken: Collection[int] = ()) -> int:
        below = words.zipf.below
        i = bisect(below, self.random())
        while i in taken:                        # to throw away what is taken is to share its probability among the rest
            i = bisect(below, self.random())
        self.parts.append(words.words[i])
        self.nats += words.nats(i, taken)
        return i

    @property
    def text(self) -> str:
        return "".join(self.parts).removesuffix(END)


class Weighing(Telling):
    """Tells, and sums up the entropy of every choice that it comes to. By the chain rule, the mean of these sums over all
    tales is the entropy of the grammar, H = E[−log p]; and they scatter less than the single tales' −log p do."""

    def __init__(self, random: Random):
        super().__init__(random)
        self.entropy = 0.0

    def one_of(self, *texts: str) -> int:
        self.entropy += zipf(len(texts)).entropy
        return super().one_of(*texts)

    def draw(self, words: Words, taken: Collection[int] = ()) -> int:
        self.entropy += words.entropy(taken)
        return super().draw(words, taken)


class Reading:
    """Follows a text. `choices` are the alternatives that it took, by number: its derivation."""

    def __init__(self, text: str):
        self.text, self.at, self.nats, self.choices = text + END, 0, 0.0, []

    def say(self, text: str) -> None:
        if not self.text.startswith(text, self.at):
            self.stop([text])
        self.at += len(text)

    def one_of(self, *texts: str) -> int:
        for i, text in enumerate(texts):
            if self.text.startswith(text, self.at):
                break
        else:
            self.stop(texts)
        self.at += len(text)
        self.nats += zipf(len(texts)).nats[i]
        self.choices.append(i)
        return i

    def draw(self, words: Words, taken: Collection[int] = ()) -> int:
        found = words.match(self.text, self.at)
        if found is None or words.places[found[0]] in taken:
            self.stop([word for i, word in enumerate(words.words) if i not in taken])
        i = words.places[found[0]]
        self.at = found.end()
        self.nats += words.nats(i, taken)
        self.choices.append(i)
        return i

    def finish(self) -> None:
        """To be called when the grammar has said all that it has to say."""
        if self.at != len(self.text):
            self.stop([])

    def stop(self, expected: Sequence[str]) -> None:
        """Raises the sentence that says where the text leaves the grammar."""
        at = self.at + max([_common(text, self.text[self.at:self.at + len(text)]) for text in expected], default=0)
        some = " or ".join(_shown(text, text[:30]) for text in expected[:3]) or "nothing more"
        more = f" or {len(expected) - 3} others" if len(expected) > 3 else ""
        before = f", after {self.text[max(0, at - 30):at]!r}" if at else ""
        found = _shown(self.text[at:], self.text[at:at + 30].removesuffix(END))
        raise ValueError(f"It stops being a tale at character {at}{before}: there is {found}. "
                         f"From character {self.at} on there should be {some}{more}.")


def _common(a: str, b: str) -> int:
    """How many characters two texts share at the front."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def _shown(text: str, beginning: str) -> str:
    return "the end" if text == END else repr(beginning)
