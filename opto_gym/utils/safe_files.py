"""Opens the files of records. A record may come from anybody, so that a file in it may be anything.

Only regular files are opened, never through a symbolic link, so that nothing outside of a folder is read or written in
place of a file in it, and no named pipe or device is waited for. What is read into memory is bounded: the bytes of a
file and of a line, what a compressed file unpacks to, and the depth and the number of the values of JSON text. Each
violation is a `DamagedRecord` whose message names the file, the bound, and what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DamagedRecord
from . import bounded_json

MOST_BYTES = 64 * 2**20
"""The largest size of a file that is read whole, of a line, and of what a compressed file unpacks to, in bytes."""
MOST_BYTES_OF_LINES = 2**30
"""The largest size of a file of lines, in bytes."""

_PIECE = 2**16  # bytes that are unpacked at a time
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def exists(path: Path) -> bool:
    """Whether there is anything of this name, be it a link to nowhere."""
    return os.path.lexists(path)


def check_folder(path: Path) -> bool:
    """Checks that a folder of a record is no link and no file; returns whether it is there.

    Raises:
        DamagedRecord: If something else has its name.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISDIR(mode):
        raise DamagedRecord(f"{path} is {kind(mode)}: expected a folder, since records are not read through links")
    return True


def make_folder(path: Path) -> None:
    """Makes a folder of a record and its parents, unless it is there.

    Raises:
        DamagedRecord: If something else has its name.
        OSError: If it can't be made.
    """
    if not check_folder(path):
        path.mkdir(parents=True, exist_ok=True)


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file.

    Args:
        path: The file.
        most: The largest size, in bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedRecord: If it is no regular file, larger than `most`, or can't be read.
    """
    with opened(path, most) as (file, size):
        return file.read(size)


@contextlib.contextmanager
def opened(path: Path, most: int) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a file for reading, with the errors of `read_file`; gives (the file, its size in bytes)."""
    try:
        fd = _open(path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            size = os.fstat(fd).st_size
            if size > most:
                raise DamagedRecord(f"{path} has {size:,} bytes: expected {most:,} at most. Restore it from a copy")
            yield file, size
    except (FileNotFoundError, NotADirectoryError) as e:
        raise FileNotFoundError(e.errno, e.strerror, str(path)) from e
    except OSError as e:
        raise DamagedRecord(f"{path} can't be read: {e.strerror or e}") from e


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, from 1, each with the newline at its end; none if there is no file.

    Raises:
        DamagedRecord: As `read_file` does, and if a line is too long.
    """
    try:
        with opened(path, MOST_BYTES_OF_LINES) as (file, _):
            number = 0
            while line := file.readline(MOST_BYTES + 1):
                number += 1
                if len(line) > MOST_BYTES:
                    raise DamagedRecord(
                        f"{path}, line {number}: expected {MOST_BYTES:,} bytes at most. Restore the file from a copy"
                    )
                yield number, line
    except FileNotFoundError:
        return


def open_to_append(path: Path) -> int:
    """Opens a file for appending, which is made if it is missing; returns its descriptor.

    A file with a second name (a hard link) becomes one of its own, so that what the other name shows does not change.

    Raises:
        DamagedRecord: If it is no regular file.
        OSError: If it can't be opened.
    """
    fd = _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    if os.fstat(fd).st_nlink == 1:
        return fd
    with os.fdopen(fd, "rb") as shared, _replacing(path) as own:
        shutil.copyfileobj(shared, own)
    return _open(path, os.O_RDWR | os.O_APPEND)


def write_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Writes a file, replacing an older one or a link at once: a reader sees the old content or the new, never a part.

    Args:
        path: The file; its folder must exist.
        content: The content.
        durable: Whether to wait until it is on the disk under its name.

    Raises:
        OSError: If it can't be written.
    """
    with _replacing(path, durable=durable) as file:
        file.write(content)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk.

    Raises:
        OSError: If it can't be written there.
    """
    fd = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def unpacked(packed: bytes, place: object) -> bytes:
    """The content of a gzip file, without unpacking more than `MOST_BYTES`.

    Args:
        packed: The file's content.
        place: The file, for the error.

    Raises:
        DamagedRecord: If it is damaged or unpacks to more.
    """
    try:
        size, is_whole = _unpacked_size(packed)
        if size > MOST_BYTES:
            raise DamagedRecord(f"{place} unpacks to more than {MOST_BYTES:,} bytes. Restore it from a copy")
        if not is_whole:
            raise DamagedRecord(f"{place} is damaged: it ends in the middle. Restore it from a copy")
        return zlib.decompress(packed, wbits=31, bufsize=max(size, 1))
    except zlib.error as e:
        raise DamagedRecord(f"{place} is damaged: {e}. Restore it from a copy") from e


def _unpacked_size(packed: bytes) -> tuple[int, bool]:
    """(size of the content of a gzip file, whether the file is whole), without keeping the content.

    The size is not exact where it is larger than `MOST_BYTES`.
    """
    unpacker, size, rest = zlib.decompressobj(wbits=31), 0, packed
    while size <= MOST_BYTES and not unpacker.eof:
        piece = unpacker.decompress(rest, _PIECE)
        size, rest = size + len(piece), unpacker.unconsumed_tail
        if not piece and not rest:
            break
    return size, unpacker.eof


def excess(content: bytes) -> str | None:
    """Which bound JSON content exceeds, so that it would not be read again, in words; None if it exceeds none."""
    if len(content) > MOST_BYTES:
        return f"it has {len(content):,} bytes, expected {MOST_BYTES:,} at most"
    return bounded_json.excess(content)


def parse_json(text: bytes, place: object) -> Any:
    """The value of a JSON text in UTF-8.

    Args:
        text: The text.
        place: The file, and the line where there are several, for the error.

    Raises:
        DamagedRecord: If it is no JSON, or beyond the bounds of `bounded_json`.
    """
    try:
        return bounded_json.loads(text.decode("utf-8"))
    except ValueError as e:
        raise DamagedRecord(f"{place} is damaged: {e}. Restore it from a copy") from e


@contextlib.contextmanager
def _replacing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Gives a new file that takes the place of `path` at the end of the block, unless that raises."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)  # left by a process that was killed
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o644)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(fd)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _open(path: Path, flags: int) -> int:
    """Opens a regular file; see `open_to_append` for the errors."""
    with contextlib.suppress(FileNotFoundError):
        _check_regular(path, path.lstat().st_mode)  # before it is opened, which may have an effect on a device
    try:
        fd = os.open(path, flags | _FLAGS, 0o644)
    except OSError as e:
        if e.errno == errno.ELOOP:
            _check_regular(path, stat.S_IFLNK)
        raise
    try:
        _check_regular(path, os.fstat(fd).st_mode)
    except DamagedRecord:
        os.close(fd)
        raise
    return fd


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise DamagedRecord(f"{path} is {kind(mode)}: expected a regular file. Remove it, or restore it from a copy")


def kind(mode: int) -> str:
    """What a file of a mode, as `os.stat` tells it, is in words, with an article."""
    return _KINDS.get(stat.S_IFMT(mode), "a regular file" if stat.S_ISREG(mode) else "no file")
