"""Files that are never half there, and JSON that is never trusted.

A folder is replaced as a whole: the new one is filled under another name beside the old, forced to the disk, and then given the
old one's name. Whenever the power goes, what bears the name is either all old or all new (between two instants nothing does, and
both lie beside it, complete).
"""

import contextlib
import json
import os
import reprlib
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = 80


def quoted(value: Any) -> str:
    """What stood in someone's file, for a sentence about it: short however long it was."""
    return _short.repr(value)


def listed(names: Any, most: int = 3) -> str:
    """'a', 'b', 'c' and 7 more"""
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(quoted(name) for name in names[:most]) + more


def parse_json(data: bytes, source: str) -> Any:
    """`source`: what the bytes are, as a sentence about them begins. A name that stands twice in an object is refused: which of the
    two was meant?"""
    def unique(pairs: list) -> dict:
        found = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"it has {quoted(name)} twice")
            found[name] = value
        return found

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except RecursionError:
        raise ValueError(f"{source} can't be read as JSON: it is nested too deeply.") from None
    except ValueError as problem:                # of the JSON, the UTF-8, or a number of thousands of digits
        raise ValueError(f"{source} can't be read as JSON: {problem}.") from None


def read_json_object(path: Path) -> dict:
    value = parse_json(path.read_bytes(), str(path))
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, {{…}}, not {quoted(value)}.")
    return value


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def write_file(path: Path, data: bytes | memoryview) -> None:
    """The file is the old one or the new one, whole, whenever the power goes."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_folder(folder: Path) -> None:
    """Takes the name away first, so that no half-removed folder ever bears it."""
    old = folder.with_name(f".{folder.name}.old-{secrets.token_hex(4)}")
    os.rename(folder, old)
    shutil.rmtree(old, ignore_errors=True)


def sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes the folder's list of names durable, where the system can."""
    with contextlib.suppress(OSError):           # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_folder(folder: Path, fill: Callable[[Path], None], replaced: Callable[[str], bool] = lambda name: True) -> None:
    """Makes a folder of what `fill` writes into the one it is given. If the folder exists already, what it held under names that are
    not `replaced` (and not written anew) moves over to the new one."""
    folder = folder.resolve()                    # a link stays, and what it points to is replaced
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give the name of a folder.")
    if Path.cwd().is_relative_to(folder):
        raise ValueError(f"{folder} can't be replaced while it is the current directory: give a folder of its own, such as {folder / 'model'}.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    new, old = (folder.with_name(f".{folder.name}.{word}-{mark}") for word in ("new", "old"))
    new.mkdir()
    try:
        fill(new)
        for path in new.rglob("*"):
            sync_file(path) if path.is_file() else sync_folder(path)
        sync_folder(new)
        _take_name(new, folder, old)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if old.exists():
        for entry in old.iterdir():
            if not replaced(entry.name) and not (folder / entry.name).exists():
                os.rename(entry, folder / entry.name)
        sync_folder(folder)
        shutil.rmtree(old)
    sync_folder(folder.parent)


def _take_name(new: Path, folder: Path, old: Path) -> None:
    if not folder.exists():
        os.rename(new, folder)
        return
    os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise
