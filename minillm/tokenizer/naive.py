"""The two algorithms in their plainest form: what the fast versions must agree with, token for token.

They do all their work again at every step, so they are thousands of times slower. Read these first.
"""

import math
from collections import Counter


def train_bpe(pieces: dict[bytes, int], num_merges: int, key=lambda left, right: (left, right)) -> list[tuple[bytes, bytes]]:
    """Byte-pair encoding: again and again, glue the most frequent pair of neighbours (a tie: the one with the greatest key)."""
    words = {piece: [bytes([byte]) for byte in piece] for piece in pieces}
    merges = []
    for _ in range(num_merges):
        pairs = Counter()
        for piece, count in pieces.items():
            for pair in zip(words[piece], words[piece][1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], key(*pair)))
        merges.append(best)
        words = {piece: glue(word, best) for piece, word in words.items()}
    return merges


def glue(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """word with every occurrence of the pair, from the left, made one."""
    glued = []
    for token in word:
        if glued and (glued[-1], token) == pair:
            glued[-1] = pair[0] + pair[1]
        else:
            glued.append(token)
    return glued


def encode_bpe(piece: bytes, merges: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The merges, in the order in which they were learnt."""
    word = [bytes([byte]) for byte in piece]
    for pair in merges:
        word = glue(word, pair)
    return word


def segmentations(word: str, vocabulary) -> list[list[str]]:
    """All ways to write a word as a sequence of tokens."""
    if not word:
        return [[]]
    heads = [word[:n] for n in range(1, len(word) + 1) if word[:n] in vocabulary]
    return [[head, *tail] for head in heads for tail in segmentations(word[len(head):], vocabulary)]


def encode_unigram(word: str, scores: dict[str, float]) -> list[str]:
    """Unigram: of all segmentations, the most likely one, where tokens come independently with log-probability `scores`."""
    return max(segmentations(word, scores), key=lambda tokens: sum(scores[token] for token in tokens))


def unigram_expectations(words: dict[str, int], scores: dict[str, float]) -> tuple[Counter, float]:
    """How often each token is used, each segmentation of a word counting by its probability; and the log-likelihood."""
    expected, log_likelihood = Counter(), 0.0
    for word, count in words.items():
        ways = segmentations(word, scores)
        chances = [math.exp(sum(scores[token] for token in way)) for way in ways]
        log_likelihood += count * math.log(sum(chances))
        for way, chance in zip(ways, chances):
            for token in way:
                expected[token] += count * chance / sum(chances)
    return expected, log_likelihood


def train_unigram(words: dict[str, int], scores: dict[str, float], steps: int) -> dict[str, float]:
    """Expectation-maximisation: a token's probability becomes its share of all tokens used, again and again."""
    for _ in range(steps):
        expected, _ = unigram_expectations(words, scores)
        total = sum(expected.values())
        scores = {token: math.log(count / total) for token, count in expected.items()}
    return scores
