"""What is asked of one BPE merge, and what goes wrong."""

from collections import Counter

from ..tokenizer import naive
from .exercise import Check, call, mistake


def best_pair(words: list[list[bytes]], counts: list[int]) -> tuple[bytes, bytes] | None:
    """The most frequent pair of neighbours, words[i] counting counts[i] times; of equally frequent ones the greatest; None if there is none."""
    pairs: Counter = Counter()
    for word, count in zip(words, counts):
        for pair in zip(word, word[1:]):
            pairs[pair] += count
    return max(pairs, key=lambda pair: (pairs[pair], pair), default=None)


FUNCTIONS = {"best_pair": best_pair, "glue": naive.glue}
LETTERS = [b"a", b"b", b"c", b"d"]
TOKENS = [b"a", b"b", b"ab", b"ba", b"c", b"bc", b"\xc3", b"\xa4"]


def pick(rng, choices, n):
    return [choices[i] for i in rng.integers(0, len(choices), n)]


def frequencies(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts):
        for pair in zip(word, word[1:]):
            pairs[pair] += count
    return pairs


def leaders(pairs):
    return [pair for pair, count in pairs.items() if count == max(pairs.values())]


def drawn(rng, good, tokens=TOKENS, num=6, count=9):
    """Words and counts for which good(words, counts) is true."""
    while True:
        words = [pick(rng, tokens, int(rng.integers(2, 6))) for _ in range(num)]
        counts = [int(c) for c in rng.integers(1, count, num)]
        if good(words, counts):
            return {"words": words, "counts": counts}


def one_leader(words, counts):
    return len(leaders(frequencies(words, counts))) == 1


def frequent(rng):
    """Every word counts once, no pair comes twice in a word, and one pair is ahead."""
    def good(words, counts):
        return one_leader(words, counts) and all(len(set(zip(word, word[1:]))) == len(word) - 1 for word in words)
    for _ in range(4):
        yield call("best_pair", **drawn(rng, good, LETTERS, 8, 2))


def weighted(rng):
    """Another pair would be ahead if every word counted once."""
    def good(words, counts):
        once = leaders(frequencies(words, [1] * len(words)))
        return one_leader(words, counts) and leaders(frequencies(words, counts))[0] not in once
    for _ in range(3):
        yield call("best_pair", **drawn(rng, good))


def inside(rng):
    """A pair twice in a word, also with a token in common; the seam between two words would be ahead."""
    a, b, c, d = pick(rng, [[b"a", b"b", b"c", b"d"], [b"x", b"yz", b"w", b"v"], [b"q", b"p", b"\xc3", b"o"]], 1)[0]
    yield call("best_pair", words=[[a, b, a, b, c], [c, d], [c, d, d]], counts=[3, 2, 3])
    yield call("best_pair", words=[[a, a, a, a], [b, c], [c, b, c]], counts=[2, 2, 3])
    yield call("best_pair", words=[[a, b], [b, c], [b, d], [b, a], [b, d, c]], counts=[4, 4, 5, 4, 4])


TIES = [        # the greatest is never the first, the last or the least; nor, in turn, the longest, and the greatest as a glued string
    ["c b", "d a", "a c", "b d"],
    ["b c", "c a", "a b", "ab bc", "b ba"],
    ["a ab", "ab c", "a bd", "a a", "a b"],
]


def ties(rng):
    for pairs in TIES:
        later, count = int(rng.integers(0, 20)), int(rng.integers(3, 9))      # the same with letters further on in the alphabet
        words = [[bytes(letter + later for letter in token.encode()) for token in pair.split()] for pair in pairs]
        yield call("best_pair", words=[*words, [b"~", b"!"]], counts=[count] * len(words) + [count - 1])


def none(rng):
    yield call("best_pair", words=[[b"a"], [b"bc"]], counts=[3, 2])
    yield call("best_pair", words=[], counts=[])
    yield call("best_pair", words=[[b"a"], [b"b", b"c"]], counts=[7, 1])


def glues(rng):
    """The pair at the beginning, in the middle, at the end, several times, and not at all."""
    x, y, z, w = rng.permutation(6).tolist()[:4]
    x, y, z, w = (TOKENS[i] for i in (x, y, z, w))
    for word in ([x, y, z, w], [z, x, y, w], [z, w, x, y], [x, y, x, y, z, x, y], [y, x, z, w], [x, z, y], [x], []):
        yield call("glue", word=word, pair=(x, y))


def overlapping(rng):
    """Of three equal tokens the first two are glued; what was glued is not glued again in the same pass."""
    for x in pick(rng, TOKENS, 2):
        for n in (3, 4, 5):
            yield call("glue", word=[x] * n, pair=(x, x))
        yield call("glue", word=[x, x, b"z", x, x, x], pair=(x, x))


def borders(rng):
    """The same bytes, cut in another way, are another pair."""
    yield call("glue", word=[b"ab", b"c", b"a", b"bc", b"ab", b"c"], pair=(b"a", b"bc"))
    yield call("glue", word=[b"a", b"b", b"a", b"b", b"ab"], pair=(b"b", b"a"))
    yield call("glue", word=[b"a", b"ab", b"aa", b"b"], pair=(b"aa", b"b"))


CHECKS = [
    Check("frequent", "best_pair finds the most frequent pair of neighbours", frequent),
    Check("weighted", "every word counts as often as it was seen", weighted, after=("frequent",)),
    Check("inside", "all pairs inside of a word count, and none across two words", inside, after=("frequent",)),
    Check("ties", "of equally frequent pairs, the greatest is taken", ties, after=("frequent",)),
    Check("none", "without any pair, best_pair returns None", none, after=("frequent",)),
    Check("glue", "glue makes every occurrence of the pair one token", glues),
    Check("overlapping", "occurrences that overlap are glued from the left", overlapping, after=("glue",)),
    Check("borders", "a pair is two tokens, not a string of bytes", borders, after=("glue",)),
]

OWN, BEST = {"best_pair": best_pair}, "max(pairs, key=lambda pair: (pairs[pair], pair), default=None)"
SCAN = "    for token in word:\n        if glued and (glued[-1], token) == pair:"
MISTAKES = [mistake(name, advice, OWN, *edits) for name, advice, *edits in [
    ("counts of the words ignored", "A word that was seen 9 times has each of its pairs 9 times.", ("+= count", "+= 1")),
    ("a tie goes to the first", "Of equally frequent pairs the greatest is asked for: compare the pairs themselves where the counts are equal.",
     (BEST, "max(pairs, key=pairs.get, default=None)")),
    ("a tie goes to the least", "Of equally frequent pairs the greatest is asked for. Which one do you take?",
     (BEST, "min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)")),
    ("a tie goes to the last", "Of equally frequent pairs the greatest is asked for, not the one seen last.",
     (BEST, "max(reversed(pairs), key=pairs.get, default=None)")),
    ("a tie goes to the longest", "Pairs are compared as pairs of byte strings; their lengths don't matter.",
     (BEST, "max(pairs, key=lambda pair: (pairs[pair], len(pair[0] + pair[1]), pair), default=None)")),
    ("a tie goes to the greatest glued string",
        "Compare the pairs, first token first, not what they would become: (b'ab', b'c') is greater than (b'a', b'bd').",
     (BEST, "max(pairs, key=lambda pair: (pairs[pair], pair[0] + pair[1]), default=None)")),
    ("each pair counted once a word", "A pair that stands twice in a word counts twice.", ("in zip(word, word[1:])", "in set(zip(word, word[1:]))")),
    ("pairs that overlap counted once", "a a a has two pairs of neighbours: the first two, and the last two.",
     ("            pairs[pair] += count", "            pairs[pair] += count * (pair[0] != pair[1])\n        i = 1\n        while i < len(word):\n"
      "            if word[i] == word[i - 1]:\n                pairs[word[i], word[i]] += count\n                i += 1\n            i += 1")),
    ("pairs across words", "The last token of a word and the first of the next are no neighbours.",
     ("    return max(", "    for left, right, count in zip(words, words[1:], counts):\n        pairs[left[-1], right[0]] += count\n"
      "    return max(")),
    ("the glued token returned", "best_pair returns the pair, (left, right); gluing is left to glue.",
     ("return max(", "return b''.join(max("), ("default=None)", "default=(b'', b'')))")),
    ("the most frequent pair of any two tokens", "Only direct neighbours make a pair.",
     ("for pair in zip(word, word[1:]):", "for pair in ((a, b) for i, a in enumerate(word) for b in word[i + 1:]):")),
]] + [mistake(name, advice, naive, *edits) for name, advice, *edits in [
    ("only the first occurrence glued", "Every occurrence of the pair is glued, not only the first.",
     (SCAN, f"    done = False\n{SCAN.replace('if glued', 'if not done and glued')}\n            done = True")),
    ("glued from the right", "Of a a a, which two are glued: the first, or the last?",
     (SCAN, "    for token in word[::-1]:\n        if glued and (token, glued[-1]) == pair:"), ("    return glued\n", "    return glued[::-1]\n")),
    ("a token used twice", "A token that was glued to its left neighbour is used up: the next pair begins after it.",
     ("    glued = []\n" + SCAN, "    glued = []\n    at = [i for i, both in enumerate(zip(word, word[1:])) if both == pair]\n"
      "    return [pair[0] + pair[1] if i in at else token for i, token in enumerate(word) if i in at or i - 1 not in at]\n" + SCAN)),
    ("bytes compared, not tokens", "(b'ab', b'c') and (b'a', b'bc') are the same bytes, but another pair.",
     (SCAN, SCAN.replace("(glued[-1], token) == pair", "glued[-1] + token == pair[0] + pair[1]"))),
    ("order ignored", "(a, b) is another pair than (b, a).",
     (SCAN, SCAN.replace("(glued[-1], token) == pair", "(glued[-1], token) in (pair, pair[::-1])"))),
    ("second token left standing", "The pair becomes one token: both of its halves go.",
     ("glued[-1] = pair[0] + pair[1]", "glued[-1] = pair[0] + pair[1]\n            glued.append(token)")),
    ("glued the wrong way round", "Which half of the pair comes first in the new token?",
     ("glued[-1] = pair[0] + pair[1]", "glued[-1] = pair[1] + pair[0]")),
    ("a pair as the new token", "The new token is one byte string, not a pair of two.", ("glued[-1] = pair[0] + pair[1]", "glued[-1] = pair")),
]]
