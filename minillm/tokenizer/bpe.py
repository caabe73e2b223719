"""Byte-pair encoding (BPE): learning which pairs of tokens to merge, and merging.

    train   a b a b c   the pair (a, b) is the most frequent: it becomes a token.  ab ab c.  And again, until there are enough.
    encode  of all pairs of neighbours that were ever merged, merge the one that was learnt first; again, until none is left.

`naive.py` says this in a few lines, and starts from nothing at every step. The same work done once:

  training keeps the count of every pair and a list of its places, and a merge touches those places only. The text of all
  distinct pieces stands in one list with one entry a byte. A token's id is written on its first and on its last byte; its
  length in bytes tells where its neighbours are. So there are no linked lists, and a place that is out of date shows itself:
  another id stands there.

  encoding keeps the pairs in a heap, so that a "word" of a million letters takes O(n log n) and not O(n²).
"""

import heapq
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import repeat

GAP = -1                     # stands between pieces: nothing merges across it
SHORT = 48                   # pieces up to this many symbols are merged by plain search: less to set up than a heap
NEVER = 1 << 60

# GPT-2's printable alphabet: byte 0 is written Ā, a space Ġ. The `tokenizers` library numbers bytes in the order of these
# letters (AGE), and so must its tie rule.
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
BYTE_TO_CHAR = {byte: chr(byte) for byte in PRINTABLE}
BYTE_TO_CHAR |= {byte: chr(256 + i) for i, byte in enumerate(sorted(set(range(256)) - set(PRINTABLE)))}
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}
AGE = {byte: age for age, byte in enumerate(sorted(BYTE_TO_CHAR, key=BYTE_TO_CHAR.get))}


def greatest_bytes(token_id: int, token: bytes) -> str:
    """The tie rule of most courses: the pair with the greatest byte strings. As a key of which the *least* wins:
    each byte turned around, and an end mark above them all, so that a longer string comes before its own beginning."""
    return "".join(chr(255 - byte) for byte in token) + chr(256)


def oldest_ids(token_id: int, token: bytes) -> int:
    """The tie rule of the `tokenizers` library: the pair with the least ids, where the bytes come in GPT-2's order."""
    return AGE[token_id] if token_id < 256 else token_id


TIES = {"greatest-bytes": greatest_bytes, "oldest-ids": oldest_ids}


def train(pieces: dict[bytes, int], num_merges: int, tie: str = "greatest-bytes", min_count: int = 1,
          progress: Callable[[int], object] | None = None) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Learns up to num_merges merges from the distinct pieces of a corpus and their counts.

    Returns the tokens (the 256 bytes first, then one a merge) and the merges as pairs of ids. Fewer come back when no pair
    with min_count occurrences is left."""
    if tie not in TIES:
        raise ValueError(f"There is no tie rule {tie!r}; choose {' or '.join(TIES)}.")
    tokens = [bytes([byte]) for byte in range(256)]
    keys = [TIES[tie](i, token) for i, token in enumerate(tokens)]
    lengths = [1] * 256 + [0] * num_merges + [1]                # the last entry is lengths[GAP]
    corpus = Corpus(pieces, lengths)
    size = 256 + num_merges                                     # a pair (left, right) is the one integer left · size + right
    counts, places = corpus.pairs(size)
    heap = [(-count, keys[pair // size], keys[pair % size], pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < num_merges:
        promised, *key, pair = heapq.heappop(heap)
        count = counts.get(pair, 0)
        if count != -promised:                                  # merges nearby have taken some of its places since
            if count > 0:
                heapq.heappush(heap, (-count, *key, pair))
            continue
        if count < min_count:
            break
        left, right = divmod(pair, size)
        new = len(tokens)
        tokens.append(tokens[left] + tokens[right])
        keys.append(TIES[tie](new, tokens[new]))
        lengths[new] = lengths[left] + lengths[right]
        merges.append((left, right))
        for fresh in corpus.merge(left, right, new, places.pop(pair), counts, places, size):
            heapq.heappush(heap, (-counts[fresh], keys[fresh // size], keys[fresh % size], fresh))
        del counts[pair]
        if progress:
            progress(1)
    return tokens, merges


class Corpus:
    """The distinct pieces, one after the other with gaps between: ids[i] is the token that begins or ends at byte i."""

    def __init__(self, pieces: dict[bytes, int], lengths: list[int]):
        self.ids, self.weights, self.lengths = [GAP], [0], lengths
        for piece, count in pieces.items():
            self.ids += piece
            self.ids.append(GAP)
            self.weights += [count] * (len(piece) + 1)          # how often the piece occurs: what one place in it is worth

    def pairs(self, size: int) -> tuple[dict[int, int], dict[int, array]]:
        """All pairs of neighbouring bytes: their counts and their places."""
        counts, places = defaultdict(int), defaultdict(lambda: array("q"))
        for i, (left, right, weight) in enumerate(zip(self.ids, self.ids[1:], self.weights)):
            if left != GAP and right != GAP:
                counts[left * size + right] += weight
                places[left * size + right].append(i)
        return counts, places

    def merge(self, left: int, right: int, new: int, at: Iterable[int], counts, places, size: int) -> set[int]:
        """Makes each (left, right) one token and keeps counts and places true. Returns the pairs that are new."""
        ids, weights, lengths = self.ids, self.weights, self.lengths
        to_right, to_end = lengths[left], lengths[new]
        fresh = set()
        for i in at:                                            # in the order of the text: aaa is aa·a
            middle, end = i + to_right, i + to_end
            if ids[i] != left or ids[middle] != right:
                continue
            weight, before, after = weights[i], ids[i - 1], ids[end]
            if before != GAP:
                counts[before * size + left] -= weight
                pair = before * size + new
                counts[pair] += weight
                places[pair].append(i - lengths[before])
                fresh.add(pair)
            if after != GAP:
                counts[right * size + after] -= weight
                pair = new * size + after
                counts[pair] += weight
                places[pair].append(i)
                fresh.add(pair)
            ids[i] = ids[middle] = ids[end - 1] = new
        return {pair for pair in fresh if counts[pair] > 0}


class Merges:
    """A table from a pair of ids to its rank (the order in which merges were learnt), and from a rank to the merged id."""

    def __init__(self, pairs: Iterable[tuple[int, int]], results: Iterable[int], ranks: Iterable[int] | None = None):
        pairs, results = list(pairs), list(results)
        ranks = list(range(len(pairs)) if ranks is None else ranks)
        self.ranks, self.results = dict(zip(pairs, ranks)), dict(zip(ranks, results))

    def apply(self, ids: list[int]) -> list[int]:
        """The ids with all merges made: always the earliest learnt that is possible, and of its places the leftmost."""
        if len(ids) > SHORT:
            return self._apply_to_long(ids)
        rank = self.ranks.get
        ranks = [*map(rank, zip(ids, ids[1:]), repeat(NEVER)), NEVER]
        while (best := min(ranks)) != NEVER:
            i = ranks.index(best)
            ids[i:i + 2] = [self.results[best]]
            del ranks[i]
            if i + 1 < len(ids):
                ranks[i] = rank((ids[i], ids[i + 1]), NEVER)
            if i:
                ranks[i - 1] = rank((ids[i - 1], ids[i]), NEVER)
        return ids

    def _apply_to_long(self, ids: list[int]) -> list[int]:
        """The same with a heap of (rank, place): each merge makes two new pairs at most, so n log n in all."""
        ids, rank, n = list(ids), self.ranks.get, len(ids)
        after, before = list(range(1, n + 1)), list(range(-1, n - 1))
        heap = [(self.ranks[pair], i) for i, pair in enumerate(zip(ids, ids[1:])) if pair in self.ranks]
        heapq.heapify(heap)
        while heap:
            promised, i = heapq.heappop(heap)
            j = after[i]
            if j >= n or rank((ids[i], ids[j])) != promised:    # one of the two was merged away (then it is None) or has grown
                continue
            ids[i], ids[j] = self.results[promised], None
            after[i] = k = after[j]
            if k < n:
                before[k] = i
                if (found := rank((ids[i], ids[k]))) is not None:
                    heapq.heappush(heap, (found, i))
            if (h := before[i]) >= 0 and (found := rank((ids[h], ids[i]))) is not None:
                heapq.heappush(heap, (found, h))
        return [token for token in ids if token is not None]


class ByteBPE:
    """BPE over the bytes of a text's UTF-8: every text can be written, and nothing is ever unknown."""

    def __init__(self, tokens: list[bytes | None], merges: Merges, whole_pieces: bool = False):
        """tokens: None where no token has that id. whole_pieces: a piece that is a token needs no merges, as in Llama-3."""
        self.tokens, self.merges, self.whole_pieces = tokens, merges, whole_pieces
        self.ids = {token: i for i, token in enumerate(tokens) if token is not None}
        missing = [byte for byte in range(256) if bytes([byte]) not in self.ids]
        if missing:
            raise ValueError(f"The vocabulary lacks {len(missing)} of the 256 single bytes, the first of them 0x{missing[0]:02X}: "
                             "it can't write every text, so it isn't a byte-level tokenizer.")
        self.byte_ids = [self.ids[bytes([byte])] for byte in range(256)]

    def encode_piece(self, piece: str) -> list[int]:
        data = piece.encode()
        if self.whole_pieces and data in self.ids:
            return [self.ids[data]]
        return self.merges.apply(list(map(self.byte_ids.__getitem__, data)))


def merges_from_ranks(tokens: list[bytes | None]) -> Merges:
    """What a list of tokens alone says about merging, as tiktoken reads it: two neighbours merge if together they are a
    token, and the token with the least id first."""
    ids = {token: i for i, token in enumerate(tokens) if token is not None}
    pairs, results = [], []
    for token, i in ids.items():
        for cut in range(1, len(token)):
            if (left := ids.get(token[:cut])) is not None and (right := ids.get(token[cut:])) is not None:
                pairs.append((left, right))
                results.append(i)
    return Merges(pairs, results, ranks=results)


class CharacterBPE:
    """BPE over characters, as SentencePiece does it for Llama-2: a character that isn't in the vocabulary is written as its
    UTF-8 bytes, by the tokens <0x00> … <0xFF>, or is the unknown token where there are none.

    `names` are the tokens as the file spells them, with ▁ for a space."""

    def __init__(self, names: list[str | None], merges: Merges, byte_fallback: bool = True, unknown: int | None = None,
                 fuse_unknown: bool = True, whole_pieces: bool = False):
        self.names, self.merges, self.whole_pieces = names, merges, whole_pieces
        self.unknown, self.fuse_unknown = unknown, fuse_unknown
        self.tokens = [None if name is None else spelled(name, byte_fallback) for name in names]
        self.ids = {name.replace("▁", " "): i for i, name in enumerate(names) if name is not None}
        self.byte_ids = [self.ids.get(f"<0x{byte:02X}>") for byte in range(256)] if byte_fallback else [None] * 256
        if unknown is None and None in self.byte_ids:
            raise ValueError("The vocabulary has neither an unknown token nor all of <0x00> … <0xFF>: it can't write every text.")

    @property
    def byte_fallback(self) -> bool:
        return self.byte_ids[0] is not None

    def encode_piece(self, piece: str) -> list[int]:
        if self.whole_pieces and piece in self.ids:
            return [self.ids[piece]]
        ids: list[int] = []
        for character in piece:
            if (i := self.ids.get(character)) is not None:
                ids.append(i)
            elif None not in (fallback := [self.byte_ids[byte] for byte in character.encode()]):
                ids += fallback
            elif not (self.fuse_unknown and ids and ids[-1] == self.unknown):
                ids.append(self.unknown)
        return self.merges.apply(ids)


def spelled(name: str, byte_fallback: bool) -> bytes:
    """The bytes that a SentencePiece token stands for: ▁ is a space, <0x0A> with byte fallback the byte 10."""
    if byte_fallback and len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        return bytes([int(name[3:5], 16)])
    return name.replace("▁", " ").encode()
