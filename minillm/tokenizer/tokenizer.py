"""The tokenizer: text to ids and back, whatever the model behind it and the file it came from."""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np

from minillm.tokenizer.patterns import Pattern
from minillm.tokenizer.processes import spread
from minillm.tokenizer.streaming import Ids, Normalizer, StreamDecoder, blocks, split_specials, valid_unicode

Special = Literal["all"] | Collection[str]
REMEMBERED = 1 << 17         # pieces whose tokens are kept: about 30 MB
LONGEST_REMEMBERED = 100     # characters
TASK = 1 << 20               # characters that a process encodes at a time


class PieceCache(dict):
    """piece → its ids, as the bytes of uint32s: the ids of a text are then one `join`. Asked for an unknown piece it encodes it."""

    def __init__(self, encode_piece: Callable[[str], list[int]]):
        super().__init__()
        self.encode_piece, self.limit = encode_piece, REMEMBERED

    def __missing__(self, piece: str) -> bytes:
        ids = array("I", self.encode_piece(piece)).tobytes()
        if len(piece) <= LONGEST_REMEMBERED:
            if len(self) >= self.limit:
                self.clear()                                 # simple, and what is frequent is back at once
            self[piece] = ids
        return ids


class Tokenizer:
    """A model (ByteBPE, CharacterBPE or Unigram) with a pattern, a normaliser, special tokens, and their ids.

    special_tokens   stand for themselves only where the caller allows it (`allowed_special`)
    added_tokens     are always found in a text, before anything else
    prefix, suffix   ids put around a text when encode is asked to add_special_tokens (a beginning-of-text, say)
    """

    def __init__(self, model: Any, pattern: Pattern, special_tokens: Mapping[str, int] | None = None, *,
                 added_tokens: Mapping[str, int] | None = None, normalizer: Normalizer = Normalizer(),
                 prefix: Sequence[int] = (), suffix: Sequence[int] = ()):
        self.model, self.pattern, self.normalizer = model, pattern, normalizer
        self.special_tokens, self.added_tokens = dict(special_tokens or {}), dict(added_tokens or {})
        self.prefix, self.suffix = list(prefix), list(suffix)
        named = {**self.special_tokens, **self.added_tokens}
        self.tokens: list[bytes | None] = list(model.tokens)
        self.tokens += [None] * (max(named.values(), default=-1) + 1 - len(self.tokens))
        for name, i in named.items():
            if not name:
                raise ValueError("A special token can't be the empty string.")
            self.tokens[i] = name.encode()
        self.holes = {i for i, token in enumerate(self.tokens) if token is None}
        self._prepare()

    def _prepare(self) -> None:
        self._cache = PieceCache(self.model.encode_piece)
        self._integers = np.arange(self.vocab_size).astype(object)

    def __getstate__(self) -> dict:                          # for a spawned process: what it knows it can work out again
        return {name: value for name, value in vars(self).items() if name not in ("_cache", "_integers")}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._prepare()

    def __repr__(self) -> str:
        return f"Tokenizer({type(self.model).__name__}, {self.vocab_size} tokens, pattern {self.pattern.name or self.pattern.source!r})"

    @property
    def vocab_size(self) -> int:
        """One more than the greatest id: the number of rows that an embedding needs."""
        return len(self.tokens)

    # --- made, saved, loaded ---------------------------------------------------------------------------------------------

    @classmethod
    def train(cls, texts: str | Path | Iterable[str | Path], vocab_size: int = 4096, pattern: str = "gpt4",
              special_tokens: Sequence[str] = (), **settings) -> "Tokenizer":
        """Learns a tokenizer from texts (strings, or paths of files). Settings: see `training.train`."""
        from minillm.tokenizer.training import train
        return train(texts, vocab_size, pattern, special_tokens, **settings)

    @classmethod
    def load(cls, path: str | Path, **options) -> "Tokenizer":
        """From a tokenizer.json, a folder with one (or with vocab.json and merges.txt), or a .tiktoken file (pattern=…)."""
        from minillm.tokenizer.formats import load
        return load(Path(path), **options)

    def save(self, path: str | Path) -> None:
        """As a tokenizer.json, as tiktoken's ranks if the name ends in .tiktoken, or as a whole folder for transformers."""
        from minillm.tokenizer.formats import save
        save(self, Path(path))

    def hash(self) -> str:
        """The same for two tokenizers that do the same, written into every shard of tokens."""
        from minillm.tokenizer.formats import fingerprint
        return fingerprint(self)

    # --- text to ids -----------------------------------------------------------------------------------------------------

    def encode(self, text: str, allowed_special: Special = (), disallowed_special: Special = "all",
               add_special_tokens: bool = False) -> list[int]:
        """The ids of a text. A special token's name inside the text is refused, unless it is allowed (then it is that
        token) or no longer disallowed (then it is text like any other)."""
        ids = self.listed(self.encode_to_array(text, allowed_special, disallowed_special))
        return [*self.prefix, *ids, *self.suffix] if add_special_tokens else ids

    def encode_to_array(self, text: str, allowed_special: Special = (), disallowed_special: Special = "all") -> np.ndarray:
        """encode, without making a Python integer of every id."""
        parts = self.blocks([text], allowed_special, disallowed_special)
        return np.frombuffer(b"".join(map(self.encode_block, parts)), np.uint32)

    def encode_batch(self, texts: Iterable[str], allowed_special: Special = (), disallowed_special: Special = "all",
                     processes: int | None = None) -> list[list[int]]:
        """[encode(text) for text in texts], by several processes."""
        policy = (list(allowed_special) if allowed_special != "all" else "all",
                  list(disallowed_special) if disallowed_special != "all" else "all")
        found = spread(_encode_texts, (self, policy), batches(texts, TASK), processes)
        return [self.listed(ids) for data, lengths in found for ids in cut_up(np.frombuffer(data, np.uint32), lengths)]

    def listed(self, ids: np.ndarray) -> list[int]:
        """ids.tolist(), where equal ids are one Python integer: twice as fast, and 8 bytes an id where there were 40."""
        return self._integers.take(ids).tolist()

    def encode_iterable(self, chunks: Iterable[str], allowed_special: Special = (), disallowed_special: Special = "all") -> Iterator[int]:
        """The ids of a text that comes in chunks, cut anywhere: a generator that never holds the whole text."""
        for part in self.blocks(chunks, allowed_special, disallowed_special):
            yield from array("I", self.encode_block(part))

    def encode_file(self, files: str | Path | Sequence[str | Path], out: str | Path, **settings) -> list[Path]:
        """Files to shards of tokens in the folder `out`, by several processes, resumable. Settings: see `files.encode_files`."""
        from minillm.tokenizer.files import encode_files
        return encode_files(self, [files] if isinstance(files, (str, Path)) else files, out, **settings)

    def encode_with_offsets(self, text: str, allowed_special: Special = (),
                            disallowed_special: Special = "all") -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and for each the bytes that it covers, as (start, end), of the UTF-8 of `normalized(text)`: the text
        itself, unless the tokenizer changes texts."""
        ids = self.encode(text, allowed_special, disallowed_special)
        if self.token_bytes(ids) != self.normalized(text, allowed_special, disallowed_special).encode():
            raise ValueError("Offsets need tokens that spell the text; here some characters became the unknown token.")
        ends = list(accumulate(len(self.tokens[i]) for i in ids))
        return ids, list(zip([0, *ends], ends))

    def normalized(self, text: str, allowed_special: Special = (), disallowed_special: Special = "all") -> str:
        """The text as the tokenizer sees it: for most, only lone surrogates change; SentencePiece's put a space in front."""
        parts = self.blocks([text], allowed_special, disallowed_special)
        return "".join(part if isinstance(part, str) else self.tokens[part].decode() for part in parts)

    def blocks(self, chunks: Iterable[str], allowed_special: Special, disallowed_special: Special) -> Iterator[str | int]:
        """A stream as texts and special ids that can be encoded one by one (see streaming.py)."""
        specials, forbidden = self._policy(allowed_special, disallowed_special)
        parts = split_specials(valid_unicode(chunks), specials, forbidden)
        return blocks(self.normalizer(parts), self.pattern.settled)

    def remember(self, pieces: int) -> None:
        """How many pieces of text, with their ids, to keep at most: less memory, and less speed."""
        self._cache.limit = pieces

    def encode_block(self, part: str | int) -> bytes:
        """The ids of one of those, as the bytes of uint32s."""
        if isinstance(part, int):
            return array("I", [part]).tobytes()
        return b"".join(map(self._cache.__getitem__, self.pattern.split(part)))

    def _policy(self, allowed: Special, disallowed: Special) -> tuple[dict[str, int], set[str]]:
        for argument in (allowed, disallowed):
            unknown = set() if argument == "all" else set(argument) - set(self.special_tokens)
            if isinstance(argument, str) and argument != "all" or unknown:
                has = ", ".join(self.special_tokens) or "none"
                raise ValueError(f"{argument!r} doesn't name special tokens of this tokenizer: give \"all\" or a set of names. It has: {has}.")
        specials = {name: i for name, i in self.special_tokens.items() if allowed == "all" or name in allowed}
        forbidden = set(self.special_tokens) if disallowed == "all" else set(disallowed)
        return {**self.added_tokens, **specials}, forbidden - set(specials)

    # --- ids to text -----------------------------------------------------------------------------------------------------

    def checked(self, ids: Ids) -> list[int]:
        """The ids as a list, when there is a token for each of them."""
        ids = np.asarray(ids if isinstance(ids, (list, tuple, np.ndarray)) else list(ids))
        if ids.dtype == object and all(isinstance(i, int) for i in ids.flat):           # larger than any of NumPy's integers
            raise ValueError(f"There is no token {max(ids.flat, key=abs)}: the ids of this tokenizer go from 0 to {self.vocab_size - 1}.")
        if ids.size and not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"Token ids must be integers, not {ids.dtype}.")
        wrong = ids[(ids < 0) | (ids >= self.vocab_size)] if ids.size else ids
        if wrong.size:
            raise ValueError(f"There is no token {wrong.flat[0]}: the ids of this tokenizer go from 0 to {self.vocab_size - 1}.")
        listed = ids.ravel().tolist()
        if hole := self.holes.intersection(listed):
            raise ValueError(f"There is no token {min(hole)}: this tokenizer's ids have a hole there.")
        return listed

    def token_bytes(self, ids: Ids) -> bytes:
        """The bytes of the tokens, one after the other."""
        return b"".join(map(self.tokens.__getitem__, self.checked(ids)))

    def decode_bytes(self, ids: Ids, skip_special_tokens: bool = False) -> bytes:
        """The bytes that ids stand for; they need not be whole characters."""
        skip = set(self.special_tokens.values()) if skip_special_tokens else ()
        return StreamDecoder(self).spelled(ids, skip)

    def decode(self, ids: Ids, errors: str = "replace", skip_special_tokens: bool = False) -> str:
        """The text that ids stand for. Bytes that aren't UTF-8 become U+FFFD (errors="replace"), vanish ("ignore") or
        are a UnicodeDecodeError ("strict")."""
        return self.decode_bytes(ids, skip_special_tokens).decode("utf-8", errors)

    def decode_stream(self, ids: Ids, errors: str = "replace") -> Iterator[str]:
        """The text of ids as they come, never half a character."""
        decoder = StreamDecoder(self, errors)
        for i in ids:
            yield decoder.push(i)
        yield decoder.finish()

    def sample(self, text: str, temperature: float = 1.0, seed: int | np.random.Generator = 0) -> list[int]:
        """Unigram only: a segmentation drawn at random, each with its probability to the power 1/temperature."""
        if not hasattr(self.model, "sample_piece"):
            raise ValueError("Only a Unigram tokenizer has probabilities to sample from; this one is byte-pair encoding.")
        generator = np.random.default_rng(seed)
        parts = self.blocks([text], (), "all")
        pieces = (piece for part in parts for piece in self.pattern.split(str(part)))
        return [i for piece in pieces for i in self.model.sample_piece(piece, temperature, generator)]


def batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Texts in groups of about `size` characters."""
    group, length = [], 0
    for text in texts:
        group.append(text)
        length += len(text)
        if length >= size:
            yield group
            group, length = [], 0
    if group:
        yield group


def _encode_texts(shared: tuple, texts: list[str]) -> tuple[bytes, list[int]]:
    tokenizer, policy = shared
    encoded = [tokenizer.encode_to_array(text, *policy).tobytes() for text in texts]
    return b"".join(encoded), [len(ids) // 4 for ids in encoded]


def cut_up(ids: np.ndarray, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    ends = list(accumulate(lengths))
    return (ids[start:end] for start, end in zip([0, *ends], ends))
