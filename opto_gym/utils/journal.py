"""Append-only files of JSON lines that stay readable when the process is killed at any moment.

Each record is written as one line by one ``os.write``. An incomplete last line, which a power cut or a full disk may
leave, is ignored on reading and cut off before the next append. Damage anywhere else is an error that names the line.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from ..errors import DamagedRecord, RecordError
from . import safe_files
from .redaction import mentions_secret, redact_data

_BLOCK = 2**16  # bytes; the end of a file is searched in blocks of this size


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads the records of a file; an empty list if there is no file.

    Raises:
        DamagedRecord: If a line other than the last is damaged, or the file is none that `safe_files` opens.
    """
    records = []
    lines = safe_files.read_lines(path)
    for number, line in lines:
        if not line.endswith(b"\n"):
            break
        try:
            records.append(_parse(line, f"{path}, line {number}"))
        except DamagedRecord:
            if next(lines, None) is None:  # after a power cut, a file system may have lost part of a block
                break
            raise
    return records


def _parse(line: bytes, place: object) -> dict[str, Any]:
    record = safe_files.parse_json(line, place)
    if not isinstance(record, dict):
        raise DamagedRecord(f"{place} is damaged: expected a JSON object, got {type(record).__name__}")
    return record


class Journal:
    """Appends records to a file.

    Args:
        path: The file; its folder must exist.
        sync: Whether to wait until each record is on the disk.
    """

    def __init__(self, path: Path, *, sync: bool = False) -> None:
        self.path, self.sync = path, sync
        self._lock = threading.Lock()
        self._fd: int | None = None

    def append(self, record: dict[str, Any]) -> None:
        """Appends one record.

        Raises:
            RecordError: If it can't be written, for example because the disk is full or the line is longer than a line
                may be; the file is left unchanged.
        """
        line = _encoded(record)
        if mentions_secret(line):
            line = _encoded(redact_data(record))
        problem = safe_files.excess(line)
        if problem is not None:
            raise RecordError(f"{self.path}: a record can't be written: {problem}. What is recorded is safe")
        with self._lock:
            try:
                if self._fd is None:
                    self._open()
                assert self._fd is not None
                end = os.lseek(self._fd, 0, os.SEEK_END)
                if os.write(self._fd, line) != len(line):
                    os.ftruncate(self._fd, end)
                    raise OSError(28, "no space left on device")
                if self.sync:
                    os.fsync(self._fd)
            except OSError as e:
                raise RecordError(f"{self.path} can't be written: {e.strerror or e}. What is recorded is safe") from e

    def flush(self) -> None:
        """Waits until all records are on the disk.

        Raises:
            RecordError: If the disk can't hold them.
        """
        with self._lock:
            try:
                if self._fd is not None:
                    os.fsync(self._fd)
            except OSError as e:
                raise RecordError(f"{self.path} can't be written: {e.strerror or e}") from e

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def _open(self) -> None:
        """Opens the file, and cuts an incomplete or damaged last line off it."""
        is_new = not safe_files.exists(self.path)
        self._fd = safe_files.open_to_append(self.path)
        size = os.fstat(self._fd).st_size
        end = self._after_newline(size)
        if end == size and end:
            begin = self._after_newline(end - 1)
            try:
                _parse(os.pread(self._fd, end - begin, begin), self.path)
            except DamagedRecord:
                end = begin
        if end < size:
            os.ftruncate(self._fd, end)
        if is_new:
            safe_files.sync(self.path.parent)

    def _after_newline(self, end: int) -> int:
        """The place after the last newline before `end`; 0 if there is none."""
        assert self._fd is not None
        while end > 0:
            begin = max(0, end - _BLOCK)
            found = os.pread(self._fd, end - begin, begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
        return 0


def _encoded(record: dict[str, Any]) -> bytes:
    """A record as a line."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"
