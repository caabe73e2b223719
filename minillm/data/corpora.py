"""Text to train on: three corpora that every Python brings along, and the user's own files.

    corpus("tales")                         stories with a known entropy (data/tales)
    corpus("python-docs")                   English: the topics of Python's own help()
    corpus("stdlib")                        code: the modules of Python's standard library
    corpus("notes.txt", "src/**/*.py", "-") files, patterns, folders and standard input

A corpus is a sequence of documents (strings). Each iteration yields the same documents in the same order.
"""

import glob
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from . import tales

NUM_TALES = 12_000      # of the corpus "tales", unless another number is asked for
END_OF_TEXT = "<|endoftext|>"
SEPARATORS = {"file": None,                                                 # a file is a document
              "blank-line": re.compile(r"\n[^\S\n]*\n\s*"),                 # so is what stands between blank lines
              "endoftext": re.compile(rf"\s*{re.escape(END_OF_TEXT)}\s*")}  # or between these marks
NO_MODULES = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib2to3"}


@dataclass(frozen=True)
class Size:
    documents: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.documents:,} document{'s' * (self.documents != 1)}, {self.bytes:,} bytes of UTF-8"


class Corpus:
    """Documents from a function that begins to read them anew at every call."""

    def __init__(self, name: str, read: Callable[[], Iterator[str]]):
        self.name, self.read = name, read

    def __iter__(self) -> Iterator[str]:
        """Documents of nothing but white space are left out; a corpus of nothing else is an error."""
        found = False
        for document in self.read():
            if document.strip():
                found = True
                yield document
        if not found:
            raise ValueError(f"The corpus {self.name} is empty: there is no document with anything but white space in it.")

    def size(self) -> Size:
        """Counted by reading all of it."""
        sizes = [len(document.encode()) for document in self]
        return Size(len(sizes), sum(sizes))


def corpus(*sources: str | os.PathLike, separate: str = "file", num_tales: int = NUM_TALES, seed: int = 0) -> Corpus:
    """A corpus of built-in names, files, patterns, folders, or "-" for standard input, one after the other.

    separate    where documents end in files: "file", "blank-line" or "endoftext"
    num_tales   how many tales "tales" has; seed: which ones
    """
    if not sources:
        raise ValueError(f"Which corpus? Name files or folders, or one of {', '.join(BUILT_IN)}.")
    if separate not in SEPARATORS:
        raise ValueError(f"Documents can't be separated by {separate!r}; choose {', '.join(SEPARATORS)}.")
    if num_tales < 1:
        raise ValueError(f"A corpus of {num_tales} tales can't be made: ask for 1 or more.")
    readers: list[Callable[[], Iterator[str]]] = []
    for source in map(os.fspath, sources):
        if source == "tales":
            readers.append(lambda: islice(tales.stream(seed), num_tales))
        elif source in BUILT_IN:
            readers.append(BUILT_IN[source])
        else:
            readers.append(_reader(source, separate))
    return Corpus(" + ".join(map(os.fspath, sources)), lambda: (document for read in readers for document in read()))


def _reader(source: str, separate: str) -> Callable[[], Iterator[str]]:
    """What isn't there is told at once, before anybody waits for the first document."""
    if source == "-":
        kept: list[bytes] = []                   # standard input can be read only once

        def from_stdin() -> Iterator[str]:
            if not kept:
                kept.append(sys.stdin.buffer.read())
            return documents(decode(kept[0], "standard input"), separate)

        return from_stdin
    paths = files(source)
    return lambda: (document for path in paths for document in documents(decode(path.read_bytes(), str(path)), separate))


def files(source: str) -> list[Path]:
    """The files that a path, a folder or a pattern stands for, in the order of their names. Hidden ones don't count."""
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [each for each in path.rglob("*") if not any(part.startswith(".") for part in each.relative_to(path).parts)]
    elif glob.has_magic(source):
        found = [Path(each) for each in glob.glob(os.path.expanduser(source), recursive=True)]
    else:
        raise ValueError(f"There is no file or folder {source}, and no built-in corpus of that name; the built-in ones are {', '.join(BUILT_IN)}.")
    found = sorted(each for each in found if each.is_file())
    if not found:
        raise ValueError(f"There are no files in the folder {source}." if path.is_dir() else f"No file matches the pattern {source}.")
    return found


def decode(data: bytes, name: str) -> str:
    """The text, or a sentence that says where it stops being one."""
    if (at := data.find(b"\0")) >= 0:
        raise ValueError(f"{name} isn't text: byte {at} is zero. (From a folder, choose the text files with a pattern: \"folder/**/*.txt\".)")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as problem:
        at = problem.start + 3 * data.startswith(b"\xef\xbb\xbf")           # the mark at the beginning isn't counted by the decoder
        raise ValueError(f"{name} isn't UTF-8: byte {at}, {data[at]:#04x} in line {data.count(bytes([10]), 0, at) + 1}, can't be decoded. "
                         "Convert it first, for instance with iconv.") from None


def documents(text: str, separate: str = "file") -> Iterator[str]:
    separator = SEPARATORS[separate]
    yield from [text] if separator is None else (part for part in separator.split(text) if part)


# --- built in ----------------------------------------------------------------------------------------------------------

def python_docs() -> Iterator[str]:
    """The texts behind help("if"), help("CLASSES") and so on."""
    from pydoc_data.topics import topics
    for name in sorted(topics):
        yield topics[name].strip() + "\n"


def stdlib() -> Iterator[str]:
    """The .py files of the standard library, but for its tests and what was installed beside it."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
        if NO_MODULES.isdisjoint(path.relative_to(root).parts):
            yield decode(path.read_bytes(), str(path))


BUILT_IN = {"tales": tales.stream, "python-docs": python_docs, "stdlib": stdlib}
