"""The user's state folder, and the marks in it: proof that this user has made or trusted something.

A mark is an empty file whose name is the HMAC of a text with a secret key. Only who can read the key can compute the
name, so that a mark can't come with somebody else's files.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import filelock

_KEY_BYTES = 32


def state_folder() -> Path:
    """The folder: ``OPTO_GYM_STATE`` if that is set, else in the user's folder for the state of programs."""
    import platformdirs

    return Path(os.environ.get("OPTO_GYM_STATE") or platformdirs.user_state_dir("opto_gym"))


def is_marked(text: str) -> bool:
    """Whether this user has marked a text. False where the state folder can't be read."""
    try:
        key = _read_key()
        return key is not None and (state_folder() / "marks" / _name(key, text)).is_file()
    except OSError:
        return False


def mark(texts: Iterable[str]) -> None:
    """Marks texts.

    Raises:
        OSError: If the state folder can't be written.
    """
    key, marks = _read_key() or _new_key(), state_folder() / "marks"
    marks.mkdir(mode=0o700, exist_ok=True)
    for text in texts:
        (marks / _name(key, text)).touch(mode=0o600)


def _name(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _read_key() -> bytes | None:
    """The key; None if there is none yet, or if it is no secret, since other users can read or have replaced it."""
    try:
        descriptor = os.open(state_folder() / "key", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as f:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
            return None
        key = f.read(_KEY_BYTES + 1)
    return key if len(key) == _KEY_BYTES else None


def _new_key() -> bytes:
    """Makes the key. Of several processes that do so at a time, all get the same one."""
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with filelock.FileLock(folder / "key.lock"):
        key = _read_key()
        if key is not None:
            return key
        key, part = secrets.token_bytes(_KEY_BYTES), folder / f"key.{secrets.token_hex(8)}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as f:
            f.write(key)
            f.flush()
            os.fsync(descriptor)
        part.replace(folder / "key")  # at once: a reader sees no key or all of it
        return key
