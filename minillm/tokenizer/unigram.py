"""Unigram: every token has a probability, a text's tokens are drawn independently, and the likeliest segmentation is used.

    P(segmentation) = Π p(token)          score(token) = log p(token), in nats
    encode            the segmentation with the greatest sum of scores: Viterbi's algorithm, O(n · longest token)
    sample            a segmentation drawn with its probability (to the power 1/temperature)

Training (Kudo 2018) goes the other way round than BPE: it starts from far too many tokens and takes away.

    1. seeds          all characters, and the substrings that promise to save most: count · length
    2. EM, twice      E: how often is each token expected to be used, over all segmentations of every word, by their probability?
                      M: p(token) = its share of all uses
    3. prune          of every token: how much likelihood would be lost if its uses were written with the next best
                      segmentation? The quarter that would lose least goes. Back to 2, until the size is right

Step 3 is where a small corpus misleads. Of very many substrings those were taken that happen to be frequent *here*: a long
name that one module uses five times looks like a bargain, and the next module never says it. So what a token saves is not
valued at its uses but at two uses less, LUCK, which is what it may hope for in other text. (Good and Turing: what was seen r
times must be expected to come back less often than that, by about the same number for every r.) On text that follows a corpus of
50 KB, 100 KB, 300 KB, 1.5 MB, with 1,000, 2,000, 4,000, 4,000 tokens, the nats fell by 7, 14, 7 and 1 %.

The lattices (for each word the tokens that fit, from place to place) are in lattice.py.
"""

import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from minillm.tokenizer.bpe import spelled
from minillm.tokenizer.lattice import Lattices
from minillm.tokenizer.patterns import Pattern
from minillm.tokenizer.streaming import Normalizer
from minillm.tokenizer.tokenizer import Tokenizer

LONGEST_TOKEN = 16           # characters
LONGEST_WORD = 48            # longer words are cut for training
UNKNOWN_PENALTY = 10.0       # nats: a character outside of the vocabulary costs so much more than the worst token
KEEP = 0.75                  # of the tokens, in each round of pruning
CUT = "\ud800"               # no valid text has it: it marks where training words are cut
LUCK = 2                     # uses of a token that are put down to chance when it is judged

log = logging.getLogger("minillm")
Edge = tuple[int, int | None, float]         # start, token id (None: an unknown character), score


class Unigram:
    """Tokens with scores. `names` are the tokens as SentencePiece spells them, with ▁ for a space."""

    def __init__(self, names: Sequence[str], scores: Sequence[float], unknown: int | None = 0, byte_fallback: bool = True):
        self.names, self.scores, self.unknown = list(names), list(scores), unknown
        self.tokens = [spelled(name, byte_fallback) for name in names]
        ids = {name: i for i, name in enumerate(names)}
        self.byte_ids = [ids.get(f"<0x{byte:02X}>") if byte_fallback else None for byte in range(256)]
        self.ids = {name.replace("▁", " "): i for name, i in ids.items() if i not in self.byte_ids}
        if unknown is None and None in self.byte_ids:
            raise ValueError("The vocabulary has neither an unknown token nor all of <0x00> … <0xFF>: it can't write every text.")
        self.longest = max(map(len, self.ids), default=1)
        self.unknown_score = min(scores, default=0.0) - UNKNOWN_PENALTY

    @property
    def byte_fallback(self) -> bool:
        return self.byte_ids[0] is not None

    def edges(self, piece: str, end: int) -> Iterator[Edge]:
        """The tokens that end there, the longest first."""
        for start in range(max(0, end - self.longest), end):
            if (i := self.ids.get(piece[start:end])) is not None:
                yield start, i, self.scores[i]
        if piece[end - 1] not in self.ids:
            yield end - 1, None, self.unknown_score

    def encode_piece(self, piece: str) -> list[int]:
        """Viterbi: the best way to every place, from the best ways to the places before."""
        best, back = [0.0], [(0, None)]
        for end in range(1, len(piece) + 1):
            way = max(self.edges(piece, end), key=lambda edge: best[edge[0]] + edge[2])
            best.append(best[way[0]] + way[2])
            back.append(way[:2])
        return self._walk_back(piece, back)

    def sample_piece(self, piece: str, temperature: float, generator: np.random.Generator) -> list[int]:
        """Forward: the log of the sum over all ways to every place. Backward: draw the last token, then the one before, …"""
        total = self._forward(piece, temperature)
        back: list[tuple[int, int | None]] = [(0, None)] * (len(piece) + 1)
        end = len(piece)
        while end:
            ways = list(self.edges(piece, end))
            chances = np.cumsum([math.exp(total[start] + score / temperature - total[end]) for start, _, score in ways])
            way = ways[min(int(np.searchsorted(chances, generator.random() * chances[-1], "right")), len(ways) - 1)]
            back[end] = way[:2]
            end = way[0]
        return self._walk_back(piece, back)

    def log_likelihood(self, piece: str) -> float:
        """log P(piece): all its segmentations together, in nats."""
        return self._forward(piece)[-1]

    def _forward(self, piece: str, temperature: float = 1.0) -> list[float]:
        total = [0.0]
        for end in range(1, len(piece) + 1):
            ways = [total[start] + score / temperature for start, _, score in self.edges(piece, end)]
            most = max(ways)
            total.append(most + math.log(sum(math.exp(way - most) for way in ways)))
        return total

    def _walk_back(self, piece: str, back: Sequence[tuple[int, int | None]]) -> list[int]:
        """The tokens from the last to the first; unknown characters as bytes, or a run of them as one unknown token."""
        tokens: list[int] = []
        end = len(piece)
        while end:
            start, i = back[end]
            if i is not None:
                tokens.append(i)
            elif self.byte_fallback:
                tokens += [self.byte_ids[byte] for byte in reversed(piece[start:end].encode())]
            elif not tokens or tokens[-1] != self.unknown:
                tokens.append(self.unknown)
            end = start
        return tokens[::-1]


# --- training ------------------------------------------------------------------------------------------------------------

def train_unigram(counts: Mapping[str, int], vocab_size: int, special_tokens: Sequence[str], normalizer: Normalizer, *,
                  min_count: int = 1, num_seeds: int = 200_000, coverage: float = 0.9995, progress: bool = False) -> Tokenizer:
    """A Unigram tokenizer from the counts of words. The rarest characters, 1 − coverage of the text, are left to the bytes."""
    wanted = vocab_size - 257 - len(special_tokens)
    characters = frequent_characters(counts, coverage, wanted)
    words = training_words(counts, characters)
    seeds = seed_tokens(words, characters, max(num_seeds, wanted), max(min_count, 2))
    scores = prune(words, seeds, characters, wanted, progress)
    worst = min(scores.values(), default=-1.0)
    # The names of the bytes and of <unk> mean no text. Libraries that look for them there shall prefer six characters.
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    values = [6 * worst - 1] * len(names)
    for token, score in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
        names.append(token.replace(" ", "▁"))
        values.append(score)
    specials = {name: len(names) + i for i, name in enumerate(special_tokens)}
    if len(scores) < wanted:
        log.warning("The corpus has too few different substrings: the vocabulary has %d tokens, not %d. More text would fill it.",
                    len(names) + len(specials), vocab_size)
    return Tokenizer(Unigram(names, values), Pattern("words"), specials, normalizer=normalizer)


def frequent_characters(counts: Mapping[str, int], coverage: float, most: int) -> set[str]:
    """The characters that make up that share of the text. ▁ isn't among them: as a token's name it would mean a space."""
    characters: Counter = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    del characters["▁"]
    kept: set[str] = set()
    missing = sum(characters.values()) * coverage
    for character, count in sorted(characters.items(), key=lambda item: (-item[1], item[0])):
        if missing <= 0 or len(kept) >= most:
            break
        kept.add(character)
        missing -= count
    return kept


def training_words(counts: Mapping[str, int], characters: set[str]) -> dict[str, int]:
    """The words, cut where a character isn't in the vocabulary, and where they are too long."""
    words: Counter = Counter()
    for word, count in counts.items():
        parts = [word] if characters.issuperset(word) else "".join(c if c in characters else CUT for c in word).split(CUT)
        for part in filter(None, parts):
            for start in range(0, len(part), LONGEST_WORD):
                words[part[start:start + LONGEST_WORD]] += count
    return dict(sorted(words.items()))


def seed_tokens(words: Mapping[str, int], characters: set[str], most: int, min_count: int) -> dict[str, float]:
    """The characters, and the substrings with the greatest count · length, with the log of their share as score."""
    counts: Counter = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, min(start + LONGEST_TOKEN, len(word)) + 1):
                counts[word[start:end]] += count
    longer = [(-count * len(text), text) for text, count in counts.items() if len(text) > 1 and count >= min_count]
    chosen = [*sorted(characters), *(text for _, text in sorted(longer)[:most])]
    total = math.log(sum(counts[text] * len(text) for text in chosen) or 1)
    return {text: math.log(counts[text] * len(text)) - total for text in chosen if counts[text]}


def prune(words: Mapping[str, int], seeds: Mapping[str, float], characters: set[str], wanted: int,
          progress: bool) -> dict[str, float]:
    """EM and pruning in turns, until the wanted number of tokens is left; and EM once more. Characters are never pruned."""
    texts, scores = np.array(list(seeds), object), np.array(list(seeds.values()))
    needed = np.array([text in characters for text in texts], bool)
    corpus = Lattices(list(words), np.array(list(words.values()), float), seeds)
    alone = Lattices(list(seeds), np.ones(len(seeds)), seeds, whole_words=False)
    with tqdm(desc="pruning", unit=" rounds", disable=not progress) as bar:
        while True:
            for _ in range(2):
                expected, _ = corpus.expectations(scores)
                scores = maximised(expected)
            bar.update(1)
            bar.set_postfix(tokens=len(texts))
            if len(texts) <= wanted:
                return dict(zip(texts.tolist(), scores.tolist()))
            loss = np.maximum(expected - LUCK, 0) * (scores - alone.best(scores))
            loss[needed] = np.inf
            order = np.argsort(-loss, kind="stable")
            kept = np.sort(order[:max(wanted, int(len(texts) * KEEP))])
            texts, scores, needed = texts[kept], scores[kept], needed[kept]
            corpus.keep(kept)
            alone.keep(kept, words_too=True)


def maximised(expected: np.ndarray) -> np.ndarray:
    """The M step: the log of each token's share of all uses. A token with no use left keeps a little, or its log would be −∞."""
    used = np.maximum(expected, 0.05)
    return np.log(used / used.sum())
