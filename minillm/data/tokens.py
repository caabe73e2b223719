"""A corpus as tokens: many shards seen as one long array, cut into documents, and the documents shared out for training and
validation.

    tokens = encode(corpus("tales"), tokenizer, folder)         or, later, Tokens(folder)
    train, validation = tokens.split(fraction=0.1, seed=0)

A document ends with the end-of-document token, which is its last token. Whole documents go to validation, never parts: half of
a text in training would give the other half away. Which ones is a function of the document's number and the seed alone, so a
document keeps its side when the corpus grows.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Int
from .shards import Shard, open_shards, smallest_dtype, write_shard

END_OF_DOCUMENT = "<|endoftext|>"
SHARD = 1 << 24     # tokens in a shard, at least


class Tokens:
    """The shards of a folder, checked and put in a row."""

    def __init__(self, folder: str | Path, tokenizer: str | None = None, vocab_size: int | None = None):
        """tokenizer: the hash of the one that the ids must be from. vocab_size: that of the model that shall read them."""
        self.folder = Path(folder)
        self.shards = open_shards(self.folder, tokenizer)
        first = self.shards[0].header
        self.tokenizer, self.end = first.tokenizer, first.source.get("end")
        self.vocab_size = max(shard.header.vocab_size for shard in self.shards)
        if vocab_size is not None and self.vocab_size > vocab_size:
            raise ValueError(f"The tokens in {folder} are from a vocabulary of {self.vocab_size}, but the model knows only {vocab_size}: "
                             f"give it vocab_size = {self.vocab_size}, or encode the text with a smaller tokenizer.")
        self.starts = np.cumsum([0, *[shard.header.num_tokens for shard in self.shards]])
        begins = np.concatenate([_begins(shard) + start for shard, start in zip(self.shards, self.starts)])
        if len(self) and not begins[:1].tolist() == [0]:
            begins = np.concatenate([[0], begins])              # nobody says so, but something does begin here
        self.bounds = np.concatenate([begins, self.starts[-1:]])
        self.documents = Documents(self, np.arange(len(begins)))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, begin: int, end: int) -> Int[np.ndarray, "n"]:
        """Tokens begin … end − 1, from however many shards they lie in."""
        parts, number = [np.zeros(0, np.int64)], int(np.searchsorted(self.starts, begin, "right")) - 1
        while begin < end:
            shard, start = self.shards[number], int(self.starts[number])
            part = shard.tokens[begin - start:end - start].astype(np.int64)
            if part.size and part.max() >= shard.header.vocab_size:
                raise ValueError(f"{shard.path} is damaged: at or after token {begin - start} there is the id {part.max()}, "
                                 f"but its vocabulary has only {shard.header.vocab_size}. Encode it again.")
            parts.append(part)
            begin, number = begin + len(part), number + 1
        return np.concatenate(parts)

    def verify(self) -> None:
        """Compares every shard with its checksum: reads all of them."""
        for shard in self.shards:
            shard.verify()

    def split(self, fraction: float = 0.1, seed: int = 0) -> tuple["Documents", "Documents"]:
        """(training, validation): about this fraction of the documents is for validation."""
        if not 0 < fraction < 1:
            raise ValueError(f"The fraction of documents for validation must lie between 0 and 1, not be {fraction}.")
        held_out = uniform(np.arange(len(self.documents)), seed) < fraction
        if held_out.all() or not held_out.any():
            raise ValueError(f"{self.folder} has {len(self.documents)} documents: too few to keep {fraction:.0%} of them for validation. "
                             "Cut the text into more documents (at blank lines, say), or choose another fraction or seed.")
        return self.documents[~held_out], self.documents[held_out]


class Documents:
    """Some documents of a corpus, by number, and the stream that they make when put end to end."""

    def __init__(self, tokens: Tokens, numbers: Int[np.ndarray, "n"]):
        self.tokens, self.numbers = tokens, numbers
        self.begins = tokens.bounds[numbers]
        self.sizes = tokens.bounds[numbers + 1] - self.begins
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, which: Any) -> "Documents":
        """Fewer of them: documents[:10], documents[mask]."""
        return Documents(self.tokens, self.numbers[which])

    @property
    def num_tokens(self) -> int:
        return int(self.starts[-1])

    def document(self, i: int) -> Int[np.ndarray, "n"]:
        """The ids of the i-th of these documents."""
        return self.tokens.read(int(self.begins[i]), int(self.begins[i] + self.sizes[i]))

    def read(self, begin: int, end: int) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """Tokens begin … end − 1 of the stream, and for each which document (the how-manieth of these) it is in."""
        first, last = np.searchsorted(self.starts, [begin, end - 1], "right") - 1
        which = range(int(first), int(last) + 1)
        parts = []
        for i in which:
            skip, stop = max(0, begin - int(self.starts[i])), min(int(self.sizes[i]), end - int(self.starts[i]))
            parts.append(self.tokens.read(int(self.begins[i]) + skip, int(self.begins[i]) + stop))
        return np.concatenate(parts), np.repeat(which, [len(part) for part in parts])


def _begins(shard: Shard) -> Int[np.ndarray, "n"]:
    begins = np.array(shard.header.documents, np.int64)
    if begins.size and (begins[0] < 0 or begins[-1] >= shard.header.num_tokens or (np.diff(begins) <= 0).any()):
        raise ValueError(f"{shard.path.with_suffix('.json')} is damaged: the documents must begin at rising places below {shard.header.num_tokens}.")
    return begins


def uniform(numbers: Int[np.ndarray, "n"], seed: int) -> Any:
    """For each number a hash of it and the seed, in [0, 1): SplitMix64's output function, which mixes every bit into every other."""
    def mixed(x: Any) -> Any:
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))

    step = np.uint64(0x9E3779B97F4A7C15)        # an odd number near 2⁶⁴ · the golden ratio: neighbours begin far apart
    key = mixed(np.array([seed], np.uint64) * step + step)
    return (mixed((numbers.astype(np.uint64) + np.uint64(1)) * step ^ key) >> np.uint64(11)) * 2.0 ** -53


# --- text to shards ------------------------------------------------------------------------------------------------------

def encode(documents: Iterable[str], tokenizer: Any, folder: str | Path, end_of_document: str = END_OF_DOCUMENT,
           shard_tokens: int = SHARD) -> Tokens:
    """Writes documents as token shards. The end-of-document token's name inside a document is text like any other."""
    folder = Path(folder)
    if folder.exists() and any(folder.glob("[0-9]*.json")):
        raise ValueError(f"{folder} has token shards in it already: choose another folder, or delete them.")
    if end_of_document not in tokenizer.special_tokens:
        raise ValueError(f"The tokenizer has no special token {end_of_document!r} to end documents with. It has: "
                         f"{', '.join(tokenizer.special_tokens) or 'none'}.")
    end, vocab_size = tokenizer.special_tokens[end_of_document], tokenizer.vocab_size
    ids, begins, size, number = [], [], 0, 0

    def write() -> None:
        write_shard(folder, number, np.concatenate(ids), tokenizer=tokenizer.hash(), vocab_size=vocab_size, documents=begins,
                    source={"end": end})

    for document in documents:
        begins.append(size)
        ids.append(np.append(tokenizer.encode_to_array(document, (), ()), end).astype(smallest_dtype(vocab_size)))
        size += len(ids[-1])
        if size >= shard_tokens:
            write()
            ids, begins, size, number = [], [], 0, number + 1
    if ids:
        write()
    elif not number:
        raise ValueError("There are no documents to encode.")
    return Tokens(folder)
