"""What a student handed in: a folder, an archive (.zip, .tar, .tar.gz) or one file, read and never unpacked.

An exercise is one source file, so nothing has to be written to a disk: the files that are asked for are read into memory, all others
are looked at by name, kind and size alone. Whatever has no business in a submission refuses it whole, with a reason that its student
can act on: names that lead outside, links, devices, archives in archives, more files or bytes than anyone needs, sizes that lie.
Folders that come along by accident (.git, .venv, __MACOSX …) are passed over.
"""

import gzip
import io
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...files import quoted

MOST_ENTRIES = 5_000
MOST_BYTES = 64 << 20                            # all files together, as declared and as they really are
MOST_ARCHIVE = 16 << 20                          # the archive itself
MOST_SOURCE = 1 << 20                            # one source file
MOST_NAME = 300                                  # characters of a path
MOST_DEPTH = 30
MOST_HEADER = 1 << 16                            # what a tar says of one file beside its contents

PASSED_OVER = {".git", ".hg", ".svn", ".venv", "venv", "__MACOSX", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".idea", ".vscode",
               "node_modules"}
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
OTHER_ARCHIVES = (".gz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".tbz", ".txz", ".whl", ".jar")


class Refused(ValueError):
    """A submission that isn't read; the message says why."""


@dataclass(frozen=True)
class Entry:
    name: str
    kind: str                                    # file, folder, or in words what it is instead: "a symbolic link"
    size: int                                    # as declared
    read: Callable[[int], bytes]                 # at most so many bytes; only until the next entry is taken


def sources(path: Path, wanted: set[str]) -> dict[str, bytes]:
    """For each exercise in `wanted` that the submission has a file for, what stands in it."""
    try:
        return chosen(collected(entries(path), wanted))
    except Refused:
        raise
    except Exception as problem:                 # the libraries' errors are many, and hostile archives find them all
        raise Refused(f"It can't be read: {type(problem).__name__}: {problem}.") from None


def is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def collected(found: Iterator[Entry], wanted: set[str]) -> dict[PurePosixPath, bytes]:
    """All files called NAME.py for a wanted NAME. (And NAME.toml, so that `chosen` can tell a definition from a solution.)"""
    seen, count, declared, held = {}, 0, 0, {}
    for entry in found:
        path = checked(entry.name)
        if PASSED_OVER & set(path.parts):
            continue
        count, declared = count + 1, declared + entry.size
        if count > MOST_ENTRIES:
            raise Refused(f"It has more than {MOST_ENTRIES:,} files. Hand in the exercises alone.")
        if declared > MOST_BYTES:
            raise Refused(f"Its files are larger than {MOST_BYTES >> 20} MB together.")
        same = unicodedata.normalize("NFC", str(path)).casefold()
        if entry.kind != "folder" and same in seen:
            raise Refused(f"It has {quoted(seen[same])} and {quoted(entry.name)}, which on some systems are the same file.")
        seen[same] = entry.name
        if entry.kind not in ("file", "folder"):
            raise Refused(f"{quoted(entry.name)} is {entry.kind}. Hand in plain files.")
        if entry.kind == "file" and path.name.lower().endswith(ARCHIVES + OTHER_ARCHIVES):
            raise Refused(f"{quoted(entry.name)} is an archive in a submission. Unpack it and hand in the files.")
        if entry.kind == "file" and path.stem in wanted and path.suffix in (".py", ".toml"):
            held[path] = contents(entry)
            if sum(map(len, held.values())) > MOST_BYTES:
                raise Refused(f"Its files are larger than {MOST_BYTES >> 20} MB together.")
    return held


def contents(entry: Entry) -> bytes:
    if entry.size > MOST_SOURCE:
        raise Refused(f"{quoted(entry.name)} has {entry.size:,} bytes; a source file may have {MOST_SOURCE:,}.")
    read = entry.read(MOST_SOURCE + 1)
    if len(read) != entry.size:
        holds = "more" if len(read) > entry.size else f"{len(read):,}"
        raise Refused(f"{quoted(entry.name)} says that it has {entry.size:,} bytes, but holds {holds}.")
    return read


def checked(name: str) -> PurePosixPath:
    """The path inside the submission. Backslashes separate too: some Windows tools write them into zips."""
    if not name.strip("/") or len(name) > MOST_NAME or any(len(part.encode("utf-8", "replace")) > 255 for part in re.split(r"[/\\]", name)):
        raise Refused(f"It has a name {'that is empty' if not name.strip('/') else 'that is too long'}: {quoted(name)}.")
    odd = next((character for character in name if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"), None)
    if odd:
        raise Refused(f"The name {name[:80]!a} has the character U+{ord(odd):04X}, which can't be seen or turns the text around.")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or re.match(r"[A-Za-z]:", name):
        raise Refused(f"The name {quoted(name)} is absolute: it would lie outside the submission.")
    if ".." in path.parts:
        raise Refused(f"The name {quoted(name)} leads outside the submission.")
    if len(path.parts) > MOST_DEPTH:
        raise Refused(f"The name {quoted(name)} is nested too deeply.")
    return path


def chosen(held: dict[PurePosixPath, bytes]) -> dict[str, bytes]:
    """One file an exercise. A whole checkout has several of a name: those in a folder `exercises` come first, then the highest; a file
    with a NAME.toml beside it is the exercise's definition."""
    ranked: dict[str, dict[tuple, set[bytes]]] = {}
    for path, data in held.items():
        if path.suffix == ".py" and path.with_suffix(".toml") not in held:
            rank = path.parent.name != "exercises", len(path.parts)
            ranked.setdefault(path.stem, {}).setdefault(rank, set()).add(data)
    for name, by_rank in ranked.items():
        if len(by_rank[min(by_rank)]) > 1:
            raise Refused(f"It has several files {name}.py, and they differ. Hand in one.")
    return {name: next(iter(by_rank[min(by_rank)])) for name, by_rank in ranked.items()}


# --- the three forms ---------------------------------------------------------------------------------------------------------

def entries(path: Path) -> Iterator[Entry]:
    kind = kind_of(path.lstat().st_mode)
    if kind == "folder":
        return in_folder(path)
    if kind != "file":
        raise Refused(f"{path.name} is {kind}. Hand in plain files.")
    if not is_archive(path.name):
        if path.suffix != ".py":
            raise Refused(f"{quoted(path.name)} is neither a folder, nor a .zip or .tar.gz, nor a .py file.")
        return iter([on_disk(path, path.name)])
    if path.stat().st_size > MOST_ARCHIVE:
        raise Refused(f"The archive has {path.stat().st_size >> 20} MB; it may have {MOST_ARCHIVE >> 20}. Hand in the exercises alone.")
    data = path.read_bytes()
    if data[:2] == b"PK":
        return in_zip(data)
    return in_tar(gzip.GzipFile(fileobj=io.BytesIO(data)) if data[:2] == b"\x1f\x8b" else io.BytesIO(data))


def kind_of(mode: int) -> str:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
             stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return kinds.get(stat.S_IFMT(mode), "a file of an unknown kind")


def in_folder(folder: Path) -> Iterator[Entry]:
    """Links are told, not followed."""
    waiting = [folder]
    while waiting:
        for entry in sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name):
            path, name = Path(entry.path), str(Path(entry.path).relative_to(folder))
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in PASSED_OVER:
                    checked(name)
                    waiting.append(path)
                yield Entry(name, "folder", 0, lambda most: b"")
            else:
                yield on_disk(path, name)


def on_disk(path: Path, name: str) -> Entry:
    found = path.lstat()

    def read(most: int) -> bytes:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Refused(f"{quoted(name)} is no plain file.")
            return file.read(most)

    return Entry(name, kind_of(found.st_mode), found.st_size, read)


def in_zip(data: bytes) -> Iterator[Entry]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else kind_of(mode) if stat.S_IFMT(mode) else "file"
            if info.flag_bits & 1:
                raise Refused(f"{quoted(info.filename)} is encrypted.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):     # the others may grow a thousandfold in one step
                raise Refused(f"{quoted(info.filename)} is packed in an unusual way. Use an ordinary .zip.")

            def read(most: int, info: zipfile.ZipInfo = info) -> bytes:
                with archive.open(info) as file:
                    return file.read(most)

            yield Entry(info.orig_filename, kind, info.file_size, read)


class Capped(io.RawIOBase):
    """A stream that gives up after so many bytes: what a compressed file declares says nothing of what comes out of it."""

    def __init__(self, stream: io.IOBase, most: int):
        self.stream, self.left = stream, most

    def read(self, size: int = -1) -> bytes:
        piece = self.stream.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(piece)
        if self.left < 0:
            raise Refused(f"It grows to more than {MOST_BYTES >> 20} MB when it is unpacked.")
        return piece


class Body:
    """What stands between two headers of a tar: a member's bytes, and zeros up to the next multiple of 512."""

    def __init__(self, stream: io.IOBase, size: int):
        self.stream, self.left, self.padding = stream, size, -size % tarfile.BLOCKSIZE

    def read(self, most: int) -> bytes:
        piece = whole(self.stream, min(most, self.left))
        self.left -= len(piece)
        return piece

    def skip(self) -> None:
        for size in (self.left, self.padding):
            while size:
                size -= len(whole(self.stream, min(size, 1 << 20)))


def whole(stream: io.IOBase, size: int) -> bytes:
    pieces = []
    while size and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    if size:
        raise Refused("It can't be read: it ends in the middle of a file.")
    return b"".join(pieces)


def in_tar(stream: io.IOBase) -> Iterator[Entry]:
    """Our own walk from header to header: tarfile's reads extended headers of any size, and searches them in quadratic time."""
    kinds = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device",
             tarfile.FIFOTYPE: "a pipe", tarfile.DIRTYPE: "folder", tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file"}
    # headers, paddings and the end's zeros are not the files' own bytes
    stream, told = Capped(stream, MOST_BYTES + 4 * tarfile.BLOCKSIZE * MOST_ENTRIES), {}
    while any(block := stream.read(tarfile.BLOCKSIZE) or b""):
        header = tarfile.TarInfo.frombuf(block + whole(stream, tarfile.BLOCKSIZE - len(block)), "utf-8", "surrogateescape")
        size = header.size
        if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            if not 0 <= size <= MOST_HEADER:
                raise Refused(f"One of its headers has {size:,} bytes; it may have {MOST_HEADER:,}.")
            body = Body(stream, size)
            data = body.read(size)
            body.skip()
            told |= extended(header.type, data)
            continue
        kind = "a file with holes" if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in told) else \
            kinds.get(header.type, "a file of an unknown kind")
        size = int(told.get("size", size)) if kind == "file" else 0
        if size < 0 or "holes" in kind or "unknown" in kind:
            raise Refused(f"{quoted(told.get('path', header.name))} is {kind if size >= 0 else 'a file of less than no bytes'}. Hand in plain files.")
        body = Body(stream, size)
        yield Entry(told.get("path", header.name), kind, size, body.read)
        body.skip()
        told = {}


def extended(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header says of the one that follows: its long name, or lines `LENGTH KEY=VALUE`."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    found = {}
    while kind in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE) and data.strip(b"\0"):
        length = int(data[:20].split(b" ", 1)[0])
        line, data = data[:length], data[length:]
        key, equals, value = line.partition(b" ")[2].removesuffix(b"\n").partition(b"=")
        if length < 5 or not equals:
            raise Refused("It can't be read: one of its headers has lines of no known form.")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return found
