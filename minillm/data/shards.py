"""Shards: token ids in files that are mapped into memory, so that a corpus far larger than memory is one array.

    00000.bin    the ids, little-endian, uint16 where the vocabulary has at most 65,536 tokens, else uint32. Nothing else
    00000.json   how to read them, and how to know that they are whole:

        format, version     "minillm-tokens", 1
        dtype, num_tokens   so the .bin has exactly num_tokens · itemsize bytes
        sha256              of the .bin
        tokenizer           the hash of the tokenizer that made the ids
        vocab_size          all ids are below it
        documents           where in the shard documents begin (one that goes on from the shard before has no entry)
        source              where in the input the shard ends: the place from which an interrupted encoding goes on

Both are written to a temporary file first, and get their name only when they are on the disk; the .json comes last. So a
shard with a .json is whole, and a .bin without one is what an interruption left behind.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_file

FORMAT, VERSION = "minillm-tokens", 1


@dataclass(frozen=True)
class Header:
    """A shard's .json."""

    dtype: str
    num_tokens: int
    sha256: str
    tokenizer: str
    vocab_size: int
    documents: list[int] = field(default_factory=list)
    source: dict[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION


@dataclass(frozen=True)
class Shard:
    """One shard, opened: `tokens` is mapped from the file, not read."""

    path: Path
    header: Header
    tokens: np.ndarray

    def verify(self) -> None:
        """Reads all of it, and compares with the checksum."""
        if checksum(self.tokens) != self.header.sha256:
            raise ValueError(f"{self.path} is damaged: its contents don't have the checksum that its .json promises. Encode it again.")


def smallest_dtype(vocab_size: int) -> np.dtype:
    """Two bytes a token, where they are enough."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def checksum(tokens: np.ndarray) -> str:
    return hashlib.sha256(memoryview(tokens).cast("B") if tokens.size else b"").hexdigest()


def write_shard(folder: Path, number: int, tokens: np.ndarray, *, tokenizer: str, vocab_size: int,
                documents: Sequence[int] = (), source: Mapping[str, Any] | None = None) -> Path:
    """Writes folder/<number>.bin and its .json. Returns the path of the .bin."""
    if tokens.size and (int(tokens.min()) < 0 or int(tokens.max()) >= vocab_size):
        raise ValueError(f"A token id is outside of 0 … {vocab_size - 1}: these ids don't come from this tokenizer.")
    tokens = np.ascontiguousarray(tokens, smallest_dtype(vocab_size))
    header = Header(tokens.dtype.name, int(tokens.size), checksum(tokens), tokenizer, vocab_size, list(documents), dict(source or {}))
    path = folder / f"{number:05d}.bin"
    folder.mkdir(parents=True, exist_ok=True)
    write_file(path, memoryview(tokens).cast("B") if tokens.size else b"")
    write_file(path.with_suffix(".json"), json.dumps(asdict(header)).encode())
    return path


def open_shard(path: Path, tokenizer: str | None = None) -> Shard:
    """A shard by the path of its .bin. With `tokenizer`, a shard made by any other is refused."""
    described = path.with_suffix(".json")
    if not described.exists():
        raise ValueError(f"{path} has no {described.name} beside it: it isn't a shard, or its encoding was interrupted.")
    try:
        content = json.loads(described.read_bytes())
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError(f"{described} says {content['format']} version {content['version']}; this is {FORMAT} version {VERSION}.")
        header = Header(**content)
        dtype = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}[header.dtype]
        expected = header.num_tokens * dtype.itemsize
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as problem:
        raise ValueError(f"{described} doesn't describe a shard of tokens ({type(problem).__name__}: {problem}).") from None
    if not path.exists():
        raise ValueError(f"{path} is missing, though {described.name} is there.")
    if path.stat().st_size != expected:
        raise ValueError(f"{path} is damaged: it has {path.stat().st_size} bytes, and {header.num_tokens} tokens of {header.dtype} are {expected}.")
    if tokenizer is not None and header.tokenizer != tokenizer:
        raise ValueError(f"{path} was made by another tokenizer ({header.tokenizer[:12]}…, not {tokenizer[:12]}…): its ids mean other text.")
    tokens = np.memmap(path, dtype, "r") if expected else np.zeros(0, dtype)
    return Shard(path, header, tokens)


def open_shards(folder: Path, tokenizer: str | None = None) -> list[Shard]:
    """All shards of a folder, in order; a gap in their numbers is refused."""
    paths = sorted(path.with_suffix(".bin") for path in folder.glob("[0-9]*.json"))
    if not paths:
        raise ValueError(f"{folder} has no token shards in it. Make some: minillm tokenizer encode FILES… --tokenizer tok.json --out {folder}")
    for number, path in enumerate(paths):
        if path.stem != f"{number:05d}":
            raise ValueError(f"The shard {number:05d}.bin is missing in {folder}; the next one is {path.name}.")
    return [open_shard(path, tokenizer or (open_shard(paths[0]).header.tokenizer)) for path in paths]
