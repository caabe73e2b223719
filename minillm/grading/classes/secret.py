"""The secret of a class: hidden inputs are drawn from it, so who knows it knows them. It is made once, kept, and never printed."""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

LEAST = 16


def read(path: Path) -> tuple[bytes, str | None]:
    """The secret, made if there is none yet; and a sentence if others can read it."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = path.read_bytes().strip()
        if len(found) < LEAST:
            raise ValueError(f"{path} holds {len(found)} bytes; a secret needs {LEAST} or more. Remove the file, and a new one is made.") from None
        open_to = stat.S_IMODE(path.stat().st_mode) & 0o077
        return found, f"{path} can be read by others than you: chmod 600 {path}." if open_to else None
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no folder {path.parent} to keep the secret in.") from None
    made = secrets.token_hex(32).encode()
    with open(handle, "wb") as file:
        file.write(made + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return made, None


def fingerprint(secret: bytes) -> str:
    """Tells two secrets apart, and nothing else."""
    return hmac.new(secret, b"which secret is this", hashlib.sha256).hexdigest()[:16]
