"""Checks a file whenever it is saved."""

import time
from collections.abc import Callable, Iterator

from ..exercises import names
from .folder import Folder


def saved(folder: Folder, pause: float = 0.3, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """The name of each exercise whose file was written since the last look, for ever. Times and sizes are compared, not contents: an
    editor that writes the same text again asks for a check, too."""
    def look() -> dict[str, tuple | None]:
        found = {}
        for name in names():
            try:
                stat = folder.file(name).stat()
                found[name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            except FileNotFoundError:                             # some editors remove a file for a moment
                found[name] = None
        return found

    before = look()
    while True:
        sleep(pause)
        now = look()
        changed = [name for name in now if now[name] and now[name] != before[name]]
        before = {name: now[name] or before[name] for name in now}
        yield from changed
