"""Many words' lattices at once: for each word, all tokens that fit, as edges from place to place.

    w o r d         places 0 1 2 3 4; an edge 0→2 for "wo", 2→4 for "rd", 0→4 for "word" …
    forward[j]  = Σ over edges i→j of forward[i] · p(token)          all ways from the beginning to place j
    backward[i] = Σ over edges i→j of p(token) · backward[j]         all ways from place i to the end
    P(edge used) = forward[i] · p · backward[j] / forward[end]

The places are numbered so that the first places of all words come first, then the second places, …: one NumPy step handles
one place of every word. p is multiplied by e^(rate · length), which keeps the products of many small numbers near 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np


class Lattices:
    """The lattices of `words`, which occur `counts` times each, over the tokens; their scores come with every call.

        level[j]          the number of the first place at distance j from its word's beginning
        first, last       for each word, the numbers of its first and of its last place
        source, target    for each edge, the numbers of the places it goes from and to;  word, token: whose it is, what it spells
        target_levels     edges are sorted by target: those that end at distance j are target_levels[j] … target_levels[j + 1]
        by_source         the edges' order by source, in the same way cut up by source_levels
    """

    def __init__(self, words: Sequence[str], counts: np.ndarray, tokens: Mapping[str, float], whole_words: bool = True):
        """whole_words=False leaves out the edge that spans a whole word of two characters or more."""
        self.counts, self.lengths = counts, np.array([len(word) for word in words], int)
        self.token_lengths = np.array([len(token) for token in tokens], float)
        self.depth = int(self.lengths.max(initial=0))
        # place (word, j) has the number level[j] + (rank of the word among those that are long enough)
        longer = [np.flatnonzero(self.lengths >= j) for j in range(self.depth + 1)]
        self.level = np.concatenate([[0], np.cumsum([len(words_there) for words_there in longer])])
        rank = np.zeros((self.depth + 1, len(words)), np.int32)
        for j, words_there in enumerate(longer):
            rank[j, words_there] = self.level[j] + np.arange(len(words_there))
        self.first, self.last = rank[0], rank[self.lengths, np.arange(len(words))]
        word, start, end, token = self._find_edges(words, tokens, whole_words)
        self.word, self.token = word, token
        self.source, self.target = rank[start, word], rank[end, word]
        self.rate = 2.0
        self._sort()

    @staticmethod
    def _find_edges(words: Sequence[str], tokens: Mapping[str, float], whole_words: bool) -> tuple[np.ndarray, ...]:
        ids = {token: i for i, token in enumerate(tokens)}
        longest = max(map(len, ids), default=1)
        found: list[int] = []
        for w, word in enumerate(words):
            for start in range(len(word)):
                for end in range(start + 1, min(start + longest, len(word)) + 1):
                    allowed = whole_words or end - start < len(word) or len(word) == 1
                    if allowed and (i := ids.get(word[start:end])) is not None:
                        found += (w, start, end, i)
        return tuple(np.array(found, np.int32).reshape(-1, 4).T)

    def _sort(self) -> None:
        """Edges in the order of their targets; and a second order, by their sources."""
        order = np.argsort(self.target, kind="stable")
        self.word, self.token, self.source, self.target = (each[order] for each in (self.word, self.token, self.source, self.target))
        self.by_source = np.argsort(self.source, kind="stable")
        self.target_levels = np.searchsorted(self.target, self.level)
        self.source_levels = np.searchsorted(self.source[self.by_source], self.level)

    def keep(self, kept: np.ndarray, words_too: bool = False) -> None:
        """Leaves only those tokens, numbered anew; words_too: the words are the tokens, and go with them. A place that no edge
        reaches any more keeps its number."""
        new = np.full(len(self.token_lengths), -1)
        new[kept] = np.arange(len(kept))
        edges = new[self.token] >= 0
        if words_too:
            edges &= new[self.word] >= 0
            self.counts, self.lengths = self.counts[kept], self.lengths[kept]
            self.first, self.last = self.first[kept], self.last[kept]
        self.word, self.token = self.word[edges], self.token[edges]
        self.source, self.target = self.source[edges], self.target[edges]
        self.token, self.token_lengths = new[self.token], self.token_lengths[kept]
        if words_too:
            self.word = new[self.word]
        self._sort()

    def expectations(self, scores: np.ndarray) -> tuple[np.ndarray, float]:
        """The E step: how often each token is used in all words, and the log-likelihood of the words."""
        p = np.exp(scores + self.rate * self.token_lengths)[self.token]
        forward, backward = np.zeros(self.level[-1]), np.zeros(self.level[-1])
        forward[self.first] = 1
        backward[self.last] = 1
        for j in range(1, self.depth + 1):
            edges, low, high = slice(*self.target_levels[j:j + 2]), *self.level[j:j + 2]
            forward[low:high] += np.bincount(self.target[edges] - low, forward[self.source[edges]] * p[edges], high - low)
        for j in range(self.depth - 1, -1, -1):
            edges, low, high = self.by_source[slice(*self.source_levels[j:j + 2])], *self.level[j:j + 2]
            backward[low:high] += np.bincount(self.source[edges] - low, p[edges] * backward[self.target[edges]], high - low)
        whole = forward[self.last]
        used = forward[self.source] * p * backward[self.target] * (self.counts / whole)[self.word]
        log_likelihood = float(self.counts @ (np.log(whole) - self.rate * self.lengths))
        self.rate = -log_likelihood / float(self.counts @ self.lengths)         # nats a character: the next products are near 1
        return np.bincount(self.token, used, len(scores)), log_likelihood

    def best(self, scores: np.ndarray) -> np.ndarray:
        """For each word the score of its best segmentation; −∞ where there is none."""
        best = np.full(self.level[-1], -np.inf)
        best[self.first] = 0
        for j in range(1, self.depth + 1):
            edges = slice(*self.target_levels[j:j + 2])
            targets, begins = np.unique(self.target[edges], return_index=True)
            if targets.size:
                best[targets] = np.maximum.reduceat(best[self.source[edges]] + scores[self.token[edges]], begins)
        return best[self.last]
