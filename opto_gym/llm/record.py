"""The record of a trial's model calls, and their replay.

A call is found again by its key and by how often that key came before in the trial, so that two samples of one prompt
at temperature 1 stay two samples, in whatever order threads ask.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ..errors import ReplayMismatch
from ..utils.journal import Journal, read_lines

MODES = ("resume", "replay")
_noted: ContextVar[list[str] | None] = ContextVar("noted", default=None)


@contextlib.contextmanager
def collect_call_keys() -> Iterator[list[str]]:
    """Collects the keys of the recorded calls that the block makes, in its own thread."""
    keys: list[str] = []
    token = _noted.set(keys)
    try:
        yield keys
    finally:
        _noted.reset(token)


class CallRecord:
    """``llm.jsonl`` of a trial: one line a logical call.

    Args:
        path: The file.
        trial: The trial's id, part of each key.
        mode: ``resume`` serves what is recorded and records what is new; ``replay`` serves only what is recorded.

    Raises:
        RecordError: If the file is damaged elsewhere than at its end.
    """

    def __init__(self, path: Path, *, trial: str, mode: str = "resume") -> None:
        if mode not in MODES:
            raise ValueError(f"CallRecord: expected a mode of {MODES}, got {mode!r}")
        self.path, self.trial, self.mode = path, trial, mode
        self._journal = Journal(path, sync=True)
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._lines: dict[tuple[str, int], dict[str, Any]] = {}
        for line in read_lines(path):
            before = self._lines.get((line["key"], line["n"]), {"failed_attempts": []})
            line["failed_attempts"] = before["failed_attempts"] + line["failed_attempts"]
            self._lines[line["key"], line["n"]] = line
        self._unasked = {place for place, line in self._lines.items() if line["error"] is None}

    def key(self, request: dict[str, Any], endpoint: str, role: str) -> tuple[str, int]:
        """(key, n): the hash of the body as sent, endpoint, role and trial, and its n-th time here."""
        text = json.dumps([request, endpoint, role, self.trial], sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        noted = _noted.get()
        if noted is not None:
            noted.append(key)
        return key, self.times(key)

    def times(self, key: str) -> int:
        """How often a key came here before; it comes now."""
        with self._lock:
            self._seen[key] = self._seen.get(key, -1) + 1
            return self._seen[key]

    def find(self, key: str, n: int) -> dict[str, Any] | None:
        """The recorded call, or None. One that ended in an error holds it in ``error``."""
        with self._lock:
            self._unasked.discard((key, n))
        return self._lines.get((key, n))

    def unasked(self, role: str) -> int:
        """How many answers on record a role has not asked for again."""
        with self._lock:
            return sum(self._lines[place]["role"] == role for place in self._unasked)

    def write(self, line: dict[str, Any]) -> None:
        """Records a call and waits until it is on the disk."""
        self._journal.append(line)

    def close(self) -> None:
        """Closes the file."""
        self._journal.close()

    def mismatch(self, request: dict[str, Any], n: int) -> ReplayMismatch:
        """The error for a request that is not recorded, with the difference to the nearest one that is."""
        wanted = _page(request)
        nearest: list[str] = []
        score = -1.0
        for line in self._lines.values():
            had = _page(line["request"])
            ratio = difflib.SequenceMatcher(None, had, wanted).quick_ratio()
            if ratio > score:
                nearest, score = had, ratio
        if nearest == wanted:
            return ReplayMismatch(f"{self.path}: this request was recorded, but not {n + 1} times in this role")
        if not nearest:
            return ReplayMismatch(f"{self.path}: no call is recorded, so none can be replayed")
        diff = difflib.unified_diff(nearest, wanted, "recorded", "asked for", lineterm="", n=1)
        shown = "\n".join(part[:200] for part in list(diff)[:40])
        return ReplayMismatch(f"{self.path}: no such request is recorded. The nearest one differs:\n{shown}")


def _page(request: dict[str, Any]) -> list[str]:
    text = json.dumps(request, indent=1, sort_keys=True, ensure_ascii=False)
    return text.replace("\\n", "\n").splitlines()
