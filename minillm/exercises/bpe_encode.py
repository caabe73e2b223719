"""What is asked of BPE encoding and decoding, and what goes wrong."""

from ..tokenizer import naive
from .exercise import Check, call, mistake


def decode(ids: list[int], vocabulary: list[bytes]) -> str:
    """The text of token ids; what is no valid UTF-8 becomes U+FFFD."""
    return b"".join(vocabulary[i] for i in ids).decode("utf-8", errors="replace")


FUNCTIONS = {"encode_bpe": naive.encode_bpe, "decode": decode}
LETTERS = [b"a", b"b", b"c", b"d"]
SYLLABLES = ["ab", "ba", "abc", "cab", "da", "bad", "cc"]
TEXTS = ["Maß für Maß", "naïve", "日本語", "Ωμέγα", "piñata 🪅"]


def learnt(rng, num_merges=14):
    """Merges as training learns them, so that "in the order in which they were learnt" is all there is to say."""
    words = {}
    for _ in range(30):
        word = "".join(SYLLABLES[i] for i in rng.integers(0, len(SYLLABLES), rng.integers(2, 5))).encode()
        words[word] = words.get(word, 0) + int(rng.integers(1, 9))
    return naive.train_bpe(words, num_merges)


def piece(rng, n):
    return b"".join(LETTERS[i] for i in rng.integers(0, 4, n))


def longest_first(word, merges):
    """What encoding is not: always the longest token that fits."""
    tokens, made = sorted({left + right for left, right in merges} | {bytes([byte]) for byte in word}, key=len), []
    while word:
        best = [token for token in tokens if word.startswith(token)][-1]
        made, word = [*made, best], word[len(best):]
    return made


def leftmost_first(word, merges):
    """What it isn't either: always the leftmost pair that can be merged."""
    made = [bytes([byte]) for byte in word]
    while (at := next((i for i, pair in enumerate(zip(made, made[1:])) if pair in merges), None)) is not None:
        made[at:at + 2] = [made[at] + made[at + 1]]
    return made


def encodes(rng):
    """Pieces so short that one sees what went wrong."""
    yield call("encode_bpe", piece=b"xaby", merges=[(b"a", b"b")])
    yield call("encode_bpe", piece=b"abcdab", merges=[(b"a", b"b"), (b"c", b"d")])
    yield call("encode_bpe", piece=b"abcabd", merges=[(b"a", b"b"), (b"ab", b"c")])
    yield call("encode_bpe", piece=b"abab", merges=[(b"a", b"b"), (b"b", b"a")])
    yield call("encode_bpe", piece=b"abcab", merges=[(b"b", b"c"), (b"a", b"bc")])
    yield call("encode_bpe", piece=b"aaaaa", merges=[(b"a", b"a")])


def order(rng):
    """Neither the longest token nor the leftmost pair comes first, but the merge that was learnt first; each way gives another answer."""
    found = 0
    while found < 4:
        merges = learnt(rng)
        for text in (piece(rng, int(rng.integers(8, 14))) for _ in range(40)):
            ways = [naive.encode_bpe(text, merges), longest_first(text, merges), leftmost_first(text, merges), naive.encode_bpe(text, merges[::-1])]
            if found < 4 and all(ways.count(way) == 1 for way in ways):
                found += 1
                yield call("encode_bpe", piece=text, merges=merges)


def small(rng):
    """Nothing to encode, nothing to merge, one byte; bytes that are no letters."""
    yield call("encode_bpe", piece=b"", merges=learnt(rng, 3))
    yield call("encode_bpe", piece=piece(rng, 5), merges=[])
    yield call("encode_bpe", piece=b"a", merges=learnt(rng, 3))
    yield call("encode_bpe", piece="äöä".encode(), merges=[(b"\xc3", b"\xa4")])
    yield call("encode_bpe", piece=bytes([0, 255, 10, 0, 255]), merges=[(b"\x00", b"\xff"), (b"\n", b"\x00\xff")])


def long(rng):
    yield call("encode_bpe", piece=piece(rng, 3000), merges=learnt(rng, 20))


def cut(rng, text, size):
    """A text's bytes cut into tokens of at most `size` bytes; ids in no order."""
    data, tokens = text.encode(), []
    while data:
        n = int(rng.integers(1, size + 1))
        tokens, data = [*tokens, data[:n]], data[n:]
    vocabulary = sorted(set(tokens) | {b"zz", b"q"})
    return dict(ids=[vocabulary.index(token) for token in tokens], vocabulary=vocabulary)


def decodes(rng):
    for text in ("the cat sat", "a  b\n", ""):
        yield call("decode", **cut(rng, text, 4))


def characters(rng):
    """Tokens that end in the middle of a character."""
    for text in TEXTS:
        yield call("decode", **cut(rng, text, 1))
        yield call("decode", **cut(rng, text, 3))


def invalid(rng):
    """Half a character at the end, a byte that begins none: U+FFFD, and no error."""
    yield call("decode", ids=[1, 0, 2], vocabulary=[b"\xc3", b"a", b"b"])
    yield call("decode", ids=[0, 1], vocabulary=[b"ab", "日".encode()[:2]])
    yield call("decode", ids=[0, 0, 1], vocabulary=[b"\xff", b"ok"])


CHECKS = [
    Check("encode", "the merges are applied, in the order in which they were learnt", encodes),
    Check("order", "what was learnt first is merged first, wherever it stands", order, after=("encode",)),
    Check("small", "empty pieces, single bytes and bytes that are no letters are encoded", small, after=("encode",)),
    Check("long", "a piece of 3,000 bytes is encoded in time", long, after=("order",)),
    Check("decode", "decode puts the bytes of the tokens together", decodes),
    Check("characters", "characters of several bytes survive, wherever the tokens end", characters, after=("decode",)),
    Check("invalid", "what is no text becomes U+FFFD, and no error", invalid, after=("characters",)),
]

LOOP = "    for pair in merges:\n        word = glue(word, pair)\n    return word"
MISTAKES = [mistake(name, advice, naive, *edits) for name, advice, *edits in [
    ("merges in reverse", "The merges are applied in the order in which they were learnt: which comes first in the list?",
     (LOOP, LOOP.replace("in merges:", "in merges[::-1]:"))),
    ("longest token first", "Not the longest token wins, but the merge that was learnt first.",
     (LOOP, "    tokens = sorted({left + right for left, right in merges} | set(word), key=len)\n    made = []\n    while piece:\n"
      "        made.append([token for token in tokens if piece.startswith(token)][-1])\n        piece = piece[len(made[-1]):]\n    return made")),
    ("leftmost pair first", "Not the leftmost pair that can be merged comes first, but the one that was learnt first, wherever it stands.",
     (LOOP, "    merges = set(merges)\n"
      "    while (at := next((i for i, pair in enumerate(zip(word, word[1:])) if pair in merges), None)) is not None:\n"
      "        word = word[:at] + [word[at] + word[at + 1]] + word[at + 2:]\n    return word")),
    ("one pass from the left", "A merged token may be half of the next merge.",
     (LOOP, "    merges, made = set(merges), []\n    for token in word:\n        if made and (made[-1], token) in merges:\n"
      "            made[-1] += token\n"
      "        else:\n            made.append(token)\n    return made")),
    ("a merged token not merged again", "A merged token may be half of the next merge: one pass is not enough.",
     (LOOP, "    merges, made, at = set(merges), [], 0\n    while at < len(word):\n        size = 2 if tuple(word[at:at + 2]) in merges else 1\n"
      "        made.append(b''.join(word[at:at + size]))\n        at += size\n    return made")),
    ("only the first occurrence merged", "A merge is applied to every place where its pair stands.",
     ("if glued and (glued[-1], token) == pair:", "if glued and (glued[-1], token) == pair and pair[0] + pair[1] not in glued:")),
    ("only the first merge applied", "After the first merge come the others.", (LOOP, LOOP.replace("in merges:", "in merges[:1]:"))),
    ("last merge forgotten", "Are all merges applied, the last one too?", (LOOP, LOOP.replace("in merges:", "in merges[:-1]:"))),
    ("numbers for bytes", "Going through bytes gives numbers. A token is a byte string: bytes([number]).",
     ("word = [bytes([byte]) for byte in piece]", "word = list(piece)")),
]] + [mistake(name, advice, {"decode": decode}, *edits) for name, advice, *edits in [
    ("each token decoded for itself", "A token may end in the middle of a character. What has to be put together first, the bytes or the text?",
     ('b"".join(vocabulary[i] for i in ids).decode("utf-8", errors="replace")',
     '"".join(vocabulary[i].decode("utf-8", errors="replace") for i in ids)')),
    ("bytes that don't fit dropped", "What is no valid UTF-8 becomes U+FFFD; it doesn't vanish.", ('errors="replace"', 'errors="ignore"')),
    ("each byte a character", "Text is UTF-8: a character may be several bytes.", ('decode("utf-8", errors="replace")', 'decode("latin-1")')),
    ("spaces between tokens", "Nothing stands between two tokens: spaces are in the tokens themselves.", ('b"".join', 'b" ".join')),
]]
