"""The record of a trial's model calls, and their replay.

A call is found again by its key and by how often that key came before in the trial, so that two samples of one prompt
at temperature 1 stay two samples, in whatever order threads ask.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

from ..errors import ReplayMismatch
from ..journal import Journal, read_lines

MODES = ("resume", "replay")


class CallRecord:
    """``llm.jsonl`` of a trial: one line a logical call.

    Args:
        path: The file.
        trial: The trial's id, part of each key.
        mode: ``resume`` serves what is recorded and records what is new; ``replay`` serves only what is recorded.
    """

    def __init__(self, path: Path, *, trial: str, mode: str = "resume") -> None:
        if mode not in MODES:
            raise ValueError(f"CallRecord: expected a mode of {MODES}, got {mode!r}")
        self.path, self.trial, self.mode = path, trial, mode
        self._journal = Journal(path, sync=True)
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._lines = {(r["key"], r["n"]): r for r in read_lines(path)}
        self._served = 0

    def key(self, request: dict[str, Any], endpoint: str, role: str) -> tuple[str, int]:
        """(key, n): the hash of the body as sent, endpoint, role and trial, and its n-th time here."""
        text = json.dumps([request, endpoint, role, self.trial], sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        with self._lock:
            n = self._seen[key] = self._seen.get(key, -1) + 1
            return key, n

    def find(self, key: str, n: int, request: dict[str, Any]) -> dict[str, Any] | None:
        """The recorded call; None if it is to be made.

        Raises:
            ReplayMismatch: In replay, if it is not recorded; with the difference to the nearest request.
        """
        line = self._lines.get((key, n))
        if line is None and self.mode == "replay":
            raise ReplayMismatch(self._explain(request, n))
        return line

    def write(self, line: dict[str, Any]) -> None:
        """Records a call and waits until it is on the disk."""
        self._journal.append(line)

    def close(self) -> None:
        """Closes the file."""
        self._journal.close()

    def _explain(self, request: dict[str, Any], n: int) -> str:
        wanted = json.dumps(request, indent=1, sort_keys=True, ensure_ascii=False).replace("\\n", "\n").splitlines()
        best: list[str] = []
        score = -1.0
        for line in self._lines.values():
            text = json.dumps(line["request"], indent=1, sort_keys=True, ensure_ascii=False)
            had = text.replace("\\n", "\n").splitlines()
            ratio = difflib.SequenceMatcher(None, had, wanted).quick_ratio()
            if ratio > score:
                best, score = had, ratio
        diff = list(difflib.unified_diff(best, wanted, "recorded", "asked for", lineterm="", n=1))[:40]
        if not diff and best:
            return f"{self.path}: this request was recorded, but not {n + 1} times"
        return f"{self.path}: no such request is recorded. The nearest one differs:\n" + "\n".join(diff)
