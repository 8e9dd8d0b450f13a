"""The texts of a trial that are kept compressed, by their hash: its trace graphs."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

from ..errors import DamagedRecord, RecordError
from ..utils import bounded_json, safe_files


class Blobs:
    """The folder ``blobs/`` of a trial, with a file ``HASH.json.gz`` for each text.

    Args:
        path: The folder. It is made with the first text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._whole: set[str] = set()  # the names of those that this object has written or found whole
        self._unsynced: list[Path] = []

    def read(self, name: str) -> str:
        """Reads a text.

        Args:
            name: The SHA-256 of the text, in hexadecimal.

        Raises:
            DamagedRecord: If the file is missing, or its content has another hash.
        """
        path = self._file(name)
        safe_files.check_folder(self.path)
        try:
            data = safe_files.unpacked(safe_files.read_file(path), path)
        except FileNotFoundError as e:
            raise DamagedRecord(f"{path} is missing. Restore it from a copy") from e
        found = hashlib.sha256(data).hexdigest()
        if found != name:
            raise DamagedRecord(f"{path} is damaged: expected content with the SHA-256 {name}, got {found}")
        problem = bounded_json.excess(data)
        if problem is not None:
            raise DamagedRecord(f"{path} is damaged: {problem}")
        try:
            return data.decode()
        except UnicodeDecodeError as e:
            raise DamagedRecord(f"{path} is damaged: {e}") from e

    def write(self, name: str, text: str) -> None:
        """Writes a text, unless it is there and whole.

        Args:
            name: The SHA-256 of the text, in hexadecimal.
            text: The text.

        Raises:
            RecordError: If it can't be written.
        """
        if name in self._whole:
            return
        path = self._file(name)
        try:
            self.read(name)
        except DamagedRecord:  # missing, or torn by a power cut
            content = text.encode()
            problem = safe_files.excess(content)
            if problem is not None:
                raise RecordError(f"{path} can't be written: {problem}. What is recorded is safe") from None
            try:
                safe_files.make_folder(self.path)
                safe_files.write_file(path, gzip.compress(content, 6, mtime=0), durable=False)
            except OSError as e:
                raise RecordError(f"{path} can't be written: {e.strerror or e}. What is recorded is safe") from e
            self._unsynced.append(path)
        self._whole.add(name)

    def sync(self) -> None:
        """Waits until the texts that were written are on the disk.

        Raises:
            RecordError: If the disk can't hold them.
        """
        try:
            for path in (*self._unsynced, *([self.path] if self._unsynced else [])):
                safe_files.sync(path)
        except OSError as e:
            raise RecordError(f"{self.path} can't be written: {e.strerror or e}") from e
        self._unsynced.clear()

    def _file(self, name: str) -> Path:
        """The file of a text.

        Raises:
            DamagedRecord: If the name is none, such as one that leads out of the folder.
        """
        if not re.fullmatch("[0-9A-Za-z]{1,64}", name):
            raise DamagedRecord(f"{self.path}: expected the SHA-256 of a graph, got {name!r:.100}")
        return self.path / f"{name}.json.gz"
