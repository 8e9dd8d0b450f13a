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

from ..errors import RecordError
from .redaction import mentions_secret, redact_data


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads the records of a file; an empty list if there is no file.

    Raises:
        RecordError: If a line other than the last is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = data.split(b"\n")
    incomplete = lines.pop()  # the text after the last newline
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not a JSON object")
            records.append(record)
        except ValueError as e:
            if (
                number == len(lines) and not incomplete
            ):  # after a power cut, a file system may have lost part of a block
                break
            raise RecordError(f"{path}, line {number}: the record is damaged ({e}). Restore it from a copy") from e
    return records


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
            RecordError: If it can't be written, for example because the disk is full; the file is left unchanged.
        """
        line = _encoded(record)
        if mentions_secret(line):
            line = _encoded(redact_data(record))
        with self._lock:
            try:
                if self._fd is None:
                    self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                    self._cut_incomplete_line()
                end = os.lseek(self._fd, 0, os.SEEK_END)
                if os.write(self._fd, line) != len(line):
                    os.ftruncate(self._fd, end)
                    raise OSError(28, "no space left on device")
                if self.sync:
                    os.fsync(self._fd)
            except OSError as e:
                raise RecordError(f"{self.path} can't be written: {e.strerror or e}. What is recorded is safe") from e

    def _cut_incomplete_line(self) -> None:
        """Cuts an incomplete or damaged last line off the file."""
        assert self._fd is not None
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        complete = data[:end].rstrip(b"\n").rfind(b"\n") + 1
        if end == len(data) and end:
            try:
                json.loads(data[complete:end])
            except ValueError:
                end = complete
        if end < len(data):
            os.ftruncate(self._fd, end)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _encoded(record: dict[str, Any]) -> bytes:
    """A record as a line."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"
