"""The record of a trial's model calls, and their replay.

A recorded call is found by its key, a hash of what was asked and of the place where: the oracle call or the scoring,
the example, and the number of the call in the example. So the calls of examples that run side by side have the same
keys as those of examples that run one by one. Calls with the same key, such as those of an optimizer, are told apart by
the number of earlier ones in the trial.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ReplayMismatch
from ..utils.journal import Journal, read_lines
from .calls import CallLine, read_call

MODES = ("resume", "replay")
_collected_keys: ContextVar[list[str] | None] = ContextVar("collected_keys", default=None)


@dataclasses.dataclass(slots=True)
class _Place:
    """Where calls are made.

    Attributes:
        evaluation: The oracle call or the scoring, a text that is its own in a trial.
        example: The place of the example in it; None outside of the examples.
        calls: The number of calls so far.
    """

    evaluation: str
    example: int | None = None
    calls: int = 0

    def next(self) -> str:
        """The place of the next call, as text."""
        self.calls += 1
        return f"{self.evaluation}, example {self.example}, call {self.calls}"


_place: ContextVar[_Place | None] = ContextVar("place", default=None)


@contextlib.contextmanager
def calls_of_evaluation(name: str) -> Iterator[list[str]]:
    """Gives the calls in the block their places, and collects their keys, see `collect_call_keys`.

    Args:
        name: The oracle call or the scoring, a text that is its own in a trial.
    """
    token = _place.set(_Place(name))
    try:
        with collect_call_keys() as keys:
            yield keys
    finally:
        _place.reset(token)


@contextlib.contextmanager
def calls_of_example(example: int) -> Iterator[list[str]]:
    """The same for one example of an evaluation; outside of one, calls have no places.

    Args:
        example: The place of the example in the evaluation.
    """
    evaluation = _place.get()
    token = _place.set(evaluation and _Place(evaluation.evaluation, example))
    try:
        with collect_call_keys() as keys:
            yield keys
    finally:
        _place.reset(token)


@contextlib.contextmanager
def collect_call_keys() -> Iterator[list[str]]:
    """Gives a list that gets the keys of the recorded calls which the block makes in its own thread."""
    keys: list[str] = []
    token = _collected_keys.set(keys)
    try:
        yield keys
    finally:
        _collected_keys.reset(token)


def add_call_keys(keys: Iterable[str]) -> None:
    """Adds keys that were collected in another thread to those that this block collects."""
    collected = _collected_keys.get()
    if collected is not None:
        collected.extend(keys)


class CallRecord:
    """``llm.jsonl`` of a trial, with one line per logical call. Thread-safe.

    Args:
        path: The file.
        trial: The trial's id, which is part of each key.
        mode: ``resume`` answers recorded calls and records new ones; ``replay`` answers recorded calls only.

    Attributes:
        has_places: Whether places are part of keys. They are not in records of older releases, whose examples are
            therefore run one by one.

    Raises:
        ValueError: For an unknown mode.
        RecordError: If the file is damaged elsewhere than at its end.
    """

    def __init__(self, path: Path, *, trial: str, mode: str = "resume") -> None:
        if mode not in MODES:
            raise ValueError(f"CallRecord: expected a mode of {MODES}, got {mode!r}")
        self.path, self.trial, self.mode = path, trial, mode
        self._journal = Journal(path, sync=True)
        self._lock = threading.Lock()
        self._occurrences: dict[str, int] = {}
        self._asked: dict[str, list[str]] = {}  # the keys of the calls by role, see `take_call_keys`
        self._lines: dict[tuple[str, int], CallLine] = {}
        self._parts: dict[tuple[str, int], dict[int, CallLine]] = {}
        self._new_keys: dict[str, tuple[str, int]] = {}
        for line in read_call_lines(path):
            place = self._place(line)
            parts = self._parts.get(place, {})
            earlier = self._lines.get(place) if line.part is None else parts.get(line.part)
            failed = (*(earlier.failed_attempts if earlier else ()), *line.failed_attempts)
            line = msgspec.structs.replace(line, failed_attempts=failed)
            if line.part is None:
                self._lines[place] = line
            else:
                self._parts.setdefault(place, {})[line.part] = line
        self._unused = {place for place, line in self._lines.items() if line.error is None}
        tasks = [line for line in self._lines.values() if line.role != "optimizer"]
        self.has_places = not tasks or any(line.place for line in tasks)

    def _place(self, line: CallLine) -> tuple[str, int]:
        """(key, number of earlier calls with it) of a recorded call.

        The key is computed again for a line of a version whose keys had the endpoint's address in them. Where a server
        moved in the middle of such a trial, calls to its new address count on.
        """
        if line.key != _key_with_address(line, self.trial):
            return line.key, line.n
        if line.key not in self._new_keys:
            key = call_key(line.request, line.role, self.trial)
            self._new_keys[line.key] = key, 1 + max((n for k, n in self._lines if k == key), default=-1)
        key, before = self._new_keys[line.key]
        return key, before + line.n

    def next_place(self) -> str | None:
        """Where the call is made that this thread makes now; None outside of evaluations."""
        place = _place.get()
        return place.next() if place is not None and self.has_places else None

    def key(
        self, request: dict[str, Any], role: str, label: str | None = None, place: str | None = None
    ) -> tuple[str, int]:
        """The key of a call, and the number of earlier calls with it.

        The endpoint's address is no part of it: a server that moves answers as before.

        Args:
            request: The body as it is asked for.
            role: The client's role.
            label: What tells the endpoint from others whose models have the same names, or None.
            place: Where it is made, see `next_place`.

        Returns:
            (SHA-256 of the request, the role, the trial's id, and the label and the place, if any; number of earlier
            calls)
        """
        key = call_key(request, role, self.trial, label, place)
        with self._lock:
            self._asked.setdefault(role, []).append(key)
        collected = _collected_keys.get()
        if collected is not None:
            collected.append(key)
        return key, self.next_occurrence(key)

    def take_call_keys(self, role: str) -> list[str]:
        """The keys of the calls of a role since the last time, in the order in which they were made."""
        with self._lock:
            return self._asked.pop(role, [])

    def next_occurrence(self, key: str) -> int:
        """Counts a call with this key; returns the number of earlier calls with it."""
        key, _ = self._new_keys.get(key, (key, 0))
        with self._lock:
            self._occurrences[key] = self._occurrences.get(key, -1) + 1
            return self._occurrences[key]

    def find(self, key: str, n: int) -> CallLine | None:
        """The line of a recorded call, or None; for a call that failed it holds the ``error``.

        Args:
            key: The call's key.
            n: The number of earlier calls with the key.
        """
        key, _ = self._new_keys.get(key, (key, 0))
        with self._lock:
            self._unused.discard((key, n))
        return self._lines.get((key, n))

    def parts(self, key: str, n: int) -> list[CallLine]:
        """The lines of the parts of a recorded call that was divided, in their order, see `CallLine.part`.

        Args:
            key: The call's key.
            n: The number of earlier calls with the key.
        """
        key, _ = self._new_keys.get(key, (key, 0))
        return [line for _, line in sorted(self._parts.get((key, n), {}).items())]

    def changes(self, endpoint: str, model: str) -> list[str]:
        """What was changed in the recorded requests to a model, since its endpoint refuses it.

        Args:
            endpoint: The endpoint's name.
            model: The model's name.
        """
        lines = [line for line in self._lines.values() if (line.endpoint, line.model) == (endpoint, model)]
        return list(dict.fromkeys(change for line in lines for change in line.dropped or ()))

    @property
    def lines(self) -> list[CallLine]:
        """The recorded calls, each with the failed attempts of all of its lines, in the order of their first lines."""
        return list(self._lines.values())

    def current_key(self, key: str) -> str:
        """The key by which a recorded call is found today; that of an older release may be another."""
        return self._new_keys.get(key, (key, 0))[0]

    @property
    def unused(self) -> list[CallLine]:
        """The recorded calls with an answer that no call has asked for again."""
        with self._lock:
            return [line for place, line in self._lines.items() if place in self._unused]

    def unused_answers(self, role: str) -> int:
        """The number of recorded answers that calls of a role have not asked for again."""
        with self._lock:
            return sum(self._lines[place].role == role for place in self._unused)

    def write(self, line: CallLine) -> None:
        """Records a call and waits until it is stored on the disk."""
        self._journal.append(line.to_plain())

    def close(self) -> None:
        """Closes the file; a later `write` opens it again."""
        self._journal.close()

    def mismatch(self, request: dict[str, Any], n: int) -> ReplayMismatch:
        """The error for a request that is not recorded, with its difference from the most similar recorded one.

        Args:
            request: The body.
            n: The number of earlier calls with its key.
        """
        wanted = _as_lines(request)
        nearest: list[str] = []
        highest = -1.0
        for line in self._lines.values():
            recorded = _as_lines(line.request)
            ratio = difflib.SequenceMatcher(None, recorded, wanted).quick_ratio()
            if ratio > highest:
                nearest, highest = recorded, ratio
        if nearest == wanted:
            return ReplayMismatch(f"{self.path}: this request was recorded, but not {n + 1} times in this role")
        if not nearest:
            return ReplayMismatch(f"{self.path}: no call is recorded, so none can be replayed")
        diff = difflib.unified_diff(nearest, wanted, "recorded", "asked for", lineterm="", n=1)
        shown = "\n".join(part[:200] for part in list(diff)[:40])
        return ReplayMismatch(f"{self.path}: no such request is recorded. The nearest one differs:\n{shown}")


def call_key(request: dict[str, Any], role: str, trial: str, label: str | None = None, place: str | None = None) -> str:
    """The key of a call, see `CallRecord.key`."""
    return _digest([request, role, trial, *([label] if label else []), *([{"place": place}] if place else [])])


def has_key(line: CallLine, trial: str, label: str | None) -> bool:
    """Whether the key of a line is that of its request, in this release or an older one.

    Args:
        line: The line of a whole call. A part has the key of its call, which has another request.
        trial: The trial's id.
        label: What tells the line's endpoint from others, or None.
    """
    return line.key in (call_key(line.request, line.role, trial, label, line.place), _key_with_address(line, trial))


def _key_with_address(line: CallLine, trial: str) -> str:
    """The key that older releases gave a call."""
    return _digest([line.request, line.endpoint, line.role, trial])


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_calls(path: Path) -> list[CallLine]:
    """The calls in an ``llm.jsonl``; none if there is no file.

    Of a call that was divided and whose line is not there yet, as after a kill, its parts are given in place of it.

    Raises:
        RecordError: If a line is damaged; the message says which.
    """
    lines = read_call_lines(path)
    whole = {(line.key, line.n) for line in lines if line.part is None and line.error is None}
    return [line for line in lines if line.part is None or (line.key, line.n) not in whole]


def read_call_lines(path: Path) -> list[CallLine]:
    """All lines of an ``llm.jsonl``, those of parts too; none if there is no file.

    Raises:
        RecordError: If a line is damaged; the message says which.
    """
    return [read_call(line, f"{path}, line {k}") for k, line in enumerate(read_lines(path), 1)]


def _as_lines(request: dict[str, Any]) -> list[str]:
    """A request as lines of text for a diff."""
    text = json.dumps(request, indent=1, sort_keys=True, ensure_ascii=False)
    return text.replace("\\n", "\n").splitlines()
