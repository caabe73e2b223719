"""Files to shards of tokens: read in one process, encoded in several, written in order, resumed after an interruption."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from minillm.arrays import num_threads
from minillm.data.shards import open_shard, smallest_dtype, write_shard
from minillm.tokenizer.processes import Bar, spread
from minillm.tokenizer.tokenizer import Special, Tokenizer
from minillm.tokenizer.training import read_text

SHARD = 1 << 23              # tokens in a shard, at least: 16 MB of uint16
MOST_PROCESSES = 8           # by default: one process reads, cuts and writes 120 MB/s, and another encodes some 15
TASK = 1 << 19               # characters that a process is given at a time: handing them over takes a millisecond of work
REMEMBERED = 1 << 18         # pieces that all processes together keep with their tokens: about 60 MB


@dataclass
class Block:
    """A stretch of a file, or a special token in it, that is encoded on its own: the number-th of its file, counted from 1."""

    part: str | int
    file: int
    number: int
    ends_file: bool = False


def encode_files(tokenizer: Tokenizer, files: Sequence[str | Path], out: str | Path, *, allowed_special: Special = "all",
                 disallowed_special: Special = (), end_of_document: str | None = None, shard_tokens: int = SHARD,
                 processes: int | None = None, progress: bool = False) -> list[Path]:
    """Writes the tokens of the files, one after the other, as shards into the folder `out`; returns the shards' paths.

    A document begins with each file, and after each end_of_document (a special token; by default the tokenizer's end of text,
    if it has one), which is put after each file too. Run again after an interruption it goes on after the last whole shard,
    and the shards are those of an uninterrupted run, for any number of processes. Bytes that aren't UTF-8 become U+FFFD.

    Memory: about 80 MB, 60 for the pieces, and 15 a process, however long the files; where workers can't be forked (processes.py),
    45 a process."""
    folder, paths = Path(out), [Path(file) for file in files]
    if not paths:
        raise ValueError("There are no files to encode.")
    if shard_tokens < 1:
        raise ValueError(f"A shard must hold 1 token or more, not {shard_tokens}.")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; the shards need a folder.")
    end = end_of_document_id(tokenizer, end_of_document)
    about = {"files": [[path.name, os.stat(path).st_size] for path in paths], "end": end, "shard_tokens": shard_tokens,
             "allowed_special": names(allowed_special), "disallowed_special": names(disallowed_special)}
    done, place = resume(folder, about, tokenizer.hash())
    writer = ShardWriter(folder, len(done), tokenizer, about, end, place["begins"])
    processes = min(num_threads(), MOST_PROCESSES) if processes is None else processes
    shared = tokenizer, REMEMBERED // max(processes, 2)
    total = sum(size for _, size in about["files"])
    with Bar(total=total, desc="encoding", unit="B", unit_scale=True, disable=not progress) as bar:
        bar.update(sum(size for _, size in about["files"][:place["file"]]))
        tasks = groups(read_blocks(tokenizer, paths, place["file"], place["blocks"], allowed_special, disallowed_special))
        for encoded in spread(encode_blocks, shared, tasks, processes):
            for block, size, ids in encoded:
                writer.add(block, np.frombuffer(ids, np.uint32))
                bar.update(size)
    paths = done + writer.finish()
    tokenizer.save(folder / "tokenizer.json")    # so that training finds the one that belongs to these ids
    return paths


def names(special: Special) -> str | list[str]:
    return special if isinstance(special, str) else sorted(special)


def end_of_document_id(tokenizer: Tokenizer, name: str | None) -> int | None:
    if name is not None and name not in tokenizer.special_tokens:
        has = ", ".join(tokenizer.special_tokens) or "none"
        raise ValueError(f"The end of a document, {name!r}, isn't a special token of this tokenizer. It has: {has}.")
    if name is None:
        name = next((each for each in ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>") if each in tokenizer.special_tokens), None)
    return None if name is None else tokenizer.special_tokens[name]


def resume(folder: Path, about: dict[str, Any], tokenizer_hash: str) -> tuple[list[Path], dict[str, Any]]:
    """The whole shards that are there, and the place where they end: after how many blocks of which file."""
    done: list[Path] = []
    place = {"file": 0, "blocks": 0, "begins": True}
    while (path := folder / f"{len(done):05d}.bin").with_suffix(".json").exists():
        shard = open_shard(path, tokenizer_hash)
        shard.verify()
        if {name: shard.header.source.get(name) for name in about} != about:
            raise ValueError(f"{folder} has shards of other files, or with other settings, in it. "
                             "Choose an empty folder, or delete them.")
        place = {name: shard.header.source[name] for name in place}
        done.append(path)
    return done, place


def read_blocks(tokenizer: Tokenizer, paths: Sequence[Path], first: int, skip: int, allowed: Special,
                disallowed: Special) -> Iterator[Block]:
    """The files as blocks, but for those before `first` and the first `skip` blocks of that one."""
    for number, path in enumerate(paths[first:], first):
        block = Block("", number, 0)
        for part in tokenizer.blocks(read_text(path), allowed, disallowed):
            if block.number > (skip if number == first else 0):
                yield block
            block = Block(part, number, block.number + 1)
        block.ends_file = True
        yield block


def groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks in groups of about TASK characters. Short documents with special tokens between make very many small blocks."""
    group, length = [], 0
    for block in blocks:
        group.append(block)
        length += len(block.part) if isinstance(block.part, str) else 1
        if length >= TASK:
            yield group
            group, length = [], 0
    if group:
        yield group


def encode_blocks(shared: tuple[Tokenizer, int], blocks: list[Block]) -> list[tuple[Block, int, bytes]]:
    """Each block without its text, which needn't travel back; the number of its bytes; its ids."""
    tokenizer, remembered = shared
    tokenizer.remember(remembered)
    encoded = []
    for block in blocks:
        ids = tokenizer.encode_block(block.part)
        size = len(block.part.encode()) if isinstance(block.part, str) else 0
        encoded.append((replace(block, part="") if isinstance(block.part, str) else block, size, ids))
    return encoded


class ShardWriter:
    """Collects ids until they fill a shard, and remembers where documents begin."""

    def __init__(self, folder: Path, number: int, tokenizer: Tokenizer, about: dict[str, Any], end: int | None, begins: bool):
        self.folder, self.number, self.about, self.end = folder, number, about, end
        self.hash, self.vocab_size, self.dtype = tokenizer.hash(), tokenizer.vocab_size, smallest_dtype(tokenizer.vocab_size)
        self.data = bytearray()                              # grows in place: a list of arrays to join would take twice the memory
        self.documents: list[int] = []
        self.written: list[Path] = []
        self.count, self.begins = 0, begins                  # begins: the next token is the first of a document

    def add(self, block: Block, ids: np.ndarray) -> None:
        if ids.size:
            if self.begins:
                self.documents.append(self.count)
            self.keep(ids)
            self.begins = isinstance(block.part, int) and block.part == self.end
        if block.ends_file and not self.begins:
            self.keep(np.array([] if self.end is None else [self.end]))
            self.begins = True
        if self.count >= self.about["shard_tokens"]:
            self.write(*((block.file + 1, 0) if block.ends_file else (block.file, block.number)))

    def keep(self, ids: np.ndarray) -> None:
        self.data += ids.astype(self.dtype).tobytes()
        self.count += ids.size

    def write(self, file: int, blocks: int) -> None:
        source = {**self.about, "file": file, "blocks": blocks, "begins": self.begins}
        tokens = np.frombuffer(self.data, self.dtype)
        self.written.append(write_shard(self.folder, self.number, tokens, tokenizer=self.hash, vocab_size=self.vocab_size,
                                        documents=self.documents, source=source))
        self.number, self.data, self.documents, self.count = self.number + 1, bytearray(), [], 0

    def finish(self) -> list[Path]:
        if self.count or not self.number:
            self.write(len(self.about["files"]), 0)
        return self.written
