"""Tales: written and read by one grammar, with probabilities that are exact."""

import ast
import hashlib
import inspect
import re
import sys
from math import exp, isclose, log, sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm.data import tales
from minillm.data.tales import plots
from minillm.data.tales.choices import END, Reading, Telling, Weighing, Words, Zipf, not_prefix_free, zipf
from minillm.data.tales.plots import tell
from minillm.data.tales.words import World

MANY = tales.generate(seed=7, n=1000)


class Scripted(Telling):
    """Takes the alternatives that a script says, then always the first; notes how many there were, and what was taken."""

    def __init__(self, script):
        super().__init__(Random(0))
        self.script, self.taken = list(script), []       # taken: (choice, the next possible one or None, log p)

    def choose(self, possible, nats):
        i = self.script[len(self.taken)] if len(self.taken) < len(self.script) else possible[0]
        assert i in possible
        after = possible.index(i) + 1
        self.taken.append((i, possible[after] if after < len(possible) else None, -nats(i)))
        return i

    def one_of(self, *texts):
        i = self.choose(range(len(texts)), lambda i: zipf(len(texts)).nats[i])
        self.say(texts[i])
        return i

    def draw(self, words, taken=()):
        i = self.choose([i for i in range(len(words.words)) if i not in taken], lambda i: words.nats(i, taken))
        self.say(words.words[i])
        return i

    @property
    def log_p(self):
        return sum(taken[2] for taken in self.taken)


def scripted(script, grammar):
    choices = Scripted(script)
    grammar(choices)
    return choices


def a_tale(choices):
    return tell(choices, tales.WORLD)


def derivations(grammar, pinned=(), free=10**9):
    """All derivations that begin with the pinned choices, have every alternative at the next `free` choices, and the first one
    from there on. Each comes with the log-probability of its free choices alone."""
    script = list(pinned)
    while True:
        run = scripted(script, grammar)
        yield run, sum(taken[2] for taken in run.taken[len(pinned):len(pinned) + free])
        at = min(len(pinned) + free, len(run.taken)) - 1
        while at >= len(pinned) and run.taken[at][1] is None:
            at -= 1
        if at < len(pinned):
            return
        script = [taken[0] for taken in run.taken[:at]] + [run.taken[at][1]]


# --- choices -----------------------------------------------------------------------------------------------------------------

def test_zipfs_law():
    for n in (1, 2, 5, 24):
        p = Zipf(n).p
        assert isclose(sum(p), 1, rel_tol=1e-12)
        assert all(isclose(p[k] * (k + 1), p[0], rel_tol=1e-12) for k in range(n)), f"p·k isn't constant for {n} alternatives"


def test_words_without_those_that_are_taken_have_probabilities_that_sum_to_one():
    words = Words(["ant", "bee", "cat", "dog"])
    for taken in ([], [0], [3, 1], [0, 1, 2]):
        p = [exp(-words.nats(i, taken)) for i in range(4) if i not in taken]
        assert isclose(sum(p), 1, rel_tol=1e-12)
        assert isclose(words.entropy(taken), -sum(each * log(each) for each in p), abs_tol=1e-12)


def test_a_word_that_begins_another_is_refused():
    with pytest.raises(ValueError, match="'ring' is the beginning of 'ringlet'"):
        Words(["ringlet", "rat", "ring"])
    assert not_prefix_free(["a b", "b", "a"]) == ("a", "a b")
    assert not_prefix_free(["a c", "b", "a b"]) is None


def test_drawn_words_are_as_frequent_as_they_should_be():
    words, random, n = Words([*"abcdef"]), Random(5), 6_000
    for taken in ([], [0, 2]):
        counts = [0] * 6
        for _ in range(n):
            counts[Telling(random).draw(words, taken)] += 1
        expected = [0 if i in taken else n * exp(-words.nats(i, taken)) for i in range(6)]
        chi_square = sum((c - e) ** 2 / e for c, e in zip(counts, expected) if e)
        assert chi_square < 20.5, f"χ² = {chi_square:.1f} with {5 - len(taken)} degrees of freedom (20.5: p = 0.001 for 5)"
        assert all(counts[i] == 0 for i in taken)


SMALL_WORDS = Words(["ant", "bee", "cow"])


def small_grammar(choices):
    """Everything that a large grammar does: branches, words that are taken, and a text that ends here or there."""
    first = choices.draw(SMALL_WORDS)
    if choices.one_of(" met a ", " slept" + END, " saw ") != 1:
        second = choices.draw(SMALL_WORDS, [first])
        choices.one_of(*[f", and the {SMALL_WORDS.words[i]} ran" + END for i in (first, second)], END)


def test_the_probabilities_of_a_small_grammars_texts_sum_to_one_and_give_its_entropy():
    every = list(derivations(small_grammar))
    texts = [run.text for run, _ in every]
    assert len(set(texts)) == len(texts) == 3 * (1 + 2 * 2 * 3)
    assert isclose(sum(exp(log_p) for _, log_p in every), 1, rel_tol=1e-12)
    for run, log_p in every:
        reading = Reading(run.text)
        small_grammar(reading)
        reading.finish()
        assert isclose(reading.nats, -log_p, rel_tol=1e-12) and reading.choices == [taken[0] for taken in run.taken]
    exact = -sum(exp(log_p) * log_p for _, log_p in every)
    n, nats, weighed = 8_000, [], []
    for i in range(n):
        weighing = Weighing(Random(i))
        small_grammar(weighing)
        nats.append(weighing.nats)
        weighed.append(weighing.entropy)
    for name, values in (("−log p", nats), ("the choices' entropies", weighed)):
        mean = sum(values) / n
        error = sqrt(sum((value - mean) ** 2 for value in values)) / n
        assert abs(mean - exact) < 4 * error, f"the mean of {name} is {mean:.4f} ± {error:.4f}, the entropy {exact:.4f}"


@pytest.mark.parametrize("text, at", [("ant", 3), ("ant sl", 6), ("ant slept ", 9), ("ant met a ant", 10), ("ant met a bee, and the cow ran", 23),
                                      ("", 0), ("an ant slept", 2), ("ant slept\0", 10)])
def test_a_text_that_leaves_the_grammar_is_told_where(text, at):
    with pytest.raises(ValueError, match=rf"at character {at}\b"):
        reading = Reading(text)
        small_grammar(reading)
        reading.finish()


# --- the tales' grammar ------------------------------------------------------------------------------------------------------

class Watching(Telling):
    """Looks at every choice point, and from where in the grammar it comes."""

    def __init__(self, random, seen):
        super().__init__(random)
        self.seen = seen

    def watch(self):
        self.seen.add(sys._getframe(2).f_lineno)

    def one_of(self, *texts):
        self.watch()
        assert not (found := not_prefix_free(texts)), f"{found[0]!r} begins {found[1]!r}: two alternatives at one choice"
        return super().one_of(*texts)

    def draw(self, words, taken=()):
        free = [i for i in range(len(words.words)) if i not in taken]
        assert isclose(sum(exp(-words.nats(i, taken)) for i in free), 1, rel_tol=1e-9)
        return super().draw(words, taken)


def test_every_choice_in_the_grammar_is_prefix_free_and_none_was_left_unvisited():
    seen = set()
    for i in range(900):
        tell(Watching(Random(i), seen), tales.WORLD)
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(plots)))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "one_of"]
    assert len(calls) > 25
    unvisited = [node.lineno for node in calls if not seen & set(range(node.lineno, node.end_lineno + 1))]
    assert not unvisited, f"these lines of plots.py were never reached in 900 tales: {unvisited}"


@given(tale=st.integers(0, len(MANY) - 1), where=st.floats(0, 1), free=st.integers(1, 4))
@settings(max_examples=10)
def test_the_probabilities_of_all_ways_to_go_on_sum_to_one_and_no_two_make_one_text(tale, where, free):
    """Exhaustive over every alternative at several choices in a row, anywhere in a tale."""
    script = tales.parse(MANY[tale]).choices
    pinned = script[:int(where * (len(script) - 1))]
    total, texts = 0.0, set()
    for number, (run, log_p) in enumerate(derivations(a_tale, pinned, free)):
        total += exp(log_p)
        assert run.text not in texts, f"two derivations make one text:\n{run.text}"
        texts.add(run.text)
        if number % 37 == 0:
            assert isclose(tales.score(run.text), -run.log_p, rel_tol=1e-9)
        if number == 1500:                       # several long lists in a row: leave it at the texts being distinct
            return
    assert isclose(total, 1, rel_tol=1e-9), f"the probabilities of {len(texts)} ways to go on sum to {total}"


def test_reading_agrees_with_telling_to_the_last_digits():
    plots_seen = set()
    for i in range(300):
        telling = Telling(Random(i))
        tale = a_tale(telling)
        derivation = tales.parse(telling.text)
        assert isclose(derivation.nats, telling.nats, rel_tol=1e-12)
        assert (derivation.plot, derivation.facts, derivation.asked) == (tale.plot, tuple(tale.facts), tale.asked)
        assert scripted(derivation.choices, a_tale).text == telling.text
        plots_seen.add(tale.plot)
    assert plots_seen == {plot.__name__ for _, plot in plots.PLOTS}


@given(tale=st.integers(0, len(MANY) - 1), data=st.data())
@settings(max_examples=100)
def test_a_damaged_tale_is_refused_or_is_the_text_of_its_own_derivation(tale, data):
    text = MANY[tale]
    words = text.split(" ")
    i, j = (data.draw(st.integers(0, len(words) - 1)) for _ in range(2))
    damage = data.draw(st.sampled_from(["cut", "drop", "swap", "repeat", "other"]))
    if damage == "cut":
        damaged = text[:data.draw(st.integers(0, len(text)))]
    elif damage == "drop":
        damaged = " ".join(words[:i] + words[i + 1:])
    elif damage == "swap":
        words[i], words[j] = words[j], words[i]
        damaged = " ".join(words)
    elif damage == "repeat":
        damaged = " ".join(words[:i] + words[i:i + 1] + words[i:])
    else:
        damaged = " ".join(words[:i] + [data.draw(st.text(max_size=8))] + words[i + 1:])
    try:
        derivation = tales.parse(damaged)
    except ValueError as problem:
        assert re.match(r"It stops being a tale at character \d+", str(problem))
    else:
        assert scripted(derivation.choices, a_tale).text == damaged


HIDDEN = """Mia and the old kite

The sun was shining. Mia put her old kite under the bed. Then she went to the garden. While she was away, Tom found the kite and hid it \
on the shelf. When Mia came back, she looked under the bed, but the kite was gone. "I put it on the shelf," said Tom. \
Mia looked on the shelf, and there it was. She was happy all day long.

Question: Where did Mia look first?
Answer: under the bed."""


def test_a_known_tale_has_the_derivation_that_a_reader_would_give_it():
    derivation = tales.parse(HIDDEN)
    assert derivation.plot == "moved"
    assert derivation.asked == ("Where did Mia look first?", "spots", "under the bed")
    assert ("Who moved the kite?", "people", "Tom") in derivation.facts


@pytest.mark.parametrize("old, new", [
    ("Mia and", "Anna and"), ("put her old", "put his old"), ("put her old kite", "put her old lamp"), ("While she", "While he"),
    ("Then she", "Then he"), ("she looked under the bed", "she looked on the shelf"), ("I put it on the shelf", "I put it under the bed"),
    ("said Tom", "said Ben"), ("Mia looked on", "Tom looked on"), ("Answer: under the bed", "Answer: on the shelf"),
    ("Tom found", "Mia found"), ("the old kite", "a old kite"), ("bed.", "bed. "), ("\n\nQ", "\nQ")])
def test_what_contradicts_something_said_long_before_is_no_tale(old, new):
    assert old in HIDDEN
    with pytest.raises(ValueError, match="It stops being a tale at character"):
        tales.parse(HIDDEN.replace(old, new))


def test_the_mean_of_minus_log_p_is_the_entropy():
    estimate = tales.entropy(n=1000, seed=1)
    nats = [tales.score(text) for text in MANY]
    mean = sum(nats) / len(nats)
    error = sqrt(sum((each - mean) ** 2 for each in nats)) / len(nats)
    assert abs(mean - estimate.per_tale) < 4 * sqrt(error ** 2 + estimate.error ** 2), f"{mean} ± {error} against {estimate}"
    assert 0 < estimate.error < 0.8 * error, "the chain rule should scatter less than −log p"
    per_byte = sum(nats) / sum(len(text.encode()) for text in MANY)
    assert isclose(estimate.per_byte, per_byte, rel_tol=0.03)


def test_a_smaller_world_makes_tales_of_its_own_and_too_small_a_one_is_refused():
    world = World(things=("kite", "drum"), spots=("up the tree", "in the well"))
    texts = tales.generate(0, 50, world=world)
    assert all(re.search("kite|drum", text) and tales.parse(text, world) for text in texts)
    assert any("up the tree" in text for text in texts)
    with pytest.raises(ValueError, match="at least 2 spots, since so many can be in one tale; this one has 1"):
        World(spots=("under the bed",))


# --- as a corpus ---------------------------------------------------------------------------------------------------------------

def test_tale_i_is_a_function_of_seed_and_i():
    some = tales.generate(seed=3, n=20)
    assert tales.generate(seed=3, n=5, start=11) == some[11:16]
    assert tales.generate(seed=4, n=20) != some
    assert len(set(some)) == 20


def test_tales_stay_what_they_are():
    """A change here changes everybody's corpus, its entropy and all curves: it must be meant."""
    assert hashlib.sha256("\n".join(tales.generate(seed=0, n=300)).encode()).hexdigest()[:16] == "be004803479144db"


def test_tales_read_as_english():
    for text in MANY:
        assert text.isascii() and text.endswith(".") and not re.search(r"  |[ \t]\n|\ba [aeiou]|\ban (?!hour)[^aeiou]|\{|\}|None", text), text
        assert not (twice := re.search(r"\b(\w+) \1\b", text)), f"{twice[0]!r} in:\n{text}"
        body = text.partition("\n\n")[2].partition("\n\n")[0]
        sentences = re.split(r"(?<=\.)\"? ", body)
        assert all(re.match(r'"?[A-Z]', sentence) for sentence in sentences), f"a sentence without a capital in:\n{text}"
        assert body.count('"') % 2 == 0
        assert 40 <= len(text.split()) <= 130, f"{len(text.split())} words:\n{text}"


def test_no_word_is_both_a_thing_and_a_place_or_spot():
    world = tales.WORLD
    where = set(" ".join([*world.spots, *[place.at for place in world.places]]).split())
    assert where.isdisjoint(world.things) and set(world.looks).isdisjoint(world.things)


def test_questions_have_one_right_choice_of_four():
    questions = tales.questions(seed=2, n=120)
    assert tales.questions(seed=2, n=120) == questions != tales.questions(seed=3, n=120)
    for question in questions:
        assert len(set(question.choices)) == tales.CHOICES
        for i, choice in enumerate(question.choices):
            if i == question.right:
                assert tales.parse(question.prompt + choice).asked.answer == choice.strip(" .")
            else:
                with pytest.raises(ValueError, match="It stops being a tale"):
                    tales.parse(question.prompt + choice)
    counts = [sum(question.right == i for question in questions) for i in range(tales.CHOICES)]
    assert min(counts) > 12, f"the right choice stands mostly in the same place: {counts}"


def test_wrong_choices_come_from_the_tale_where_it_has_some():
    from_the_tale = total = 0
    for question in tales.questions(seed=2, n=120):
        for i, choice in enumerate(question.choices):
            if i != question.right:
                total += 1
                from_the_tale += choice.strip(" .") in question.prompt
    assert from_the_tale > total / 3
