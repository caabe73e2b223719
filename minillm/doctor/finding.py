"""What a check of the doctor's finds, and the small words that the checks share."""

import importlib
import importlib.metadata
from types import ModuleType
from typing import NamedTuple

OK, ABSENT, FAIL = "OK", "--", "FAIL"
GIB = 2**30


class Finding(NamedTuple):
    status: str
    what: str
    remedy: str = ""


def module(name: str) -> ModuleType | None:
    """The module; None if it isn't installed. One that is installed and broken raises."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name == name:
            return None
        raise


def version(package: str) -> str | None:
    """The version that is installed, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pip(what: str) -> str:
    return f"python -m pip install {what!r}" if "[" in what else f"python -m pip install {what}"


def gib(bytes: float) -> str:
    return f"{bytes / GIB:.1f} GiB"


def first_line(text: object) -> str:
    return next(iter(str(text).strip().splitlines()), "no message")
