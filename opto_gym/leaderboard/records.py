"""The files of a run: one folder per trial, one file per kind of record.

::

    runs/first/run.json                       the run's trials and budgets, which is all that --resume needs
    runs/first/trials/TRIAL/trial.json        what ran and where, the status (running, done, failed), the summary
                           /steps.jsonl       one line per oracle call: parameters, score, feedback, hash of the graph
                           /tests.jsonl       one line per scoring on the test split
                           /llm.jsonl         one line per model call
                           /blobs/HASH.json.gz   the trace graphs
                           /lost/N/           the .jsonl files of an attempt that could not be continued

The leaderboard is computed from these folders alone. `schema` describes the content of the files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import filelock

from ..errors import DamagedRecord, RecordError
from ..llm.calls import CallLine
from ..llm.record import read_calls
from ..utils import safe_files
from ..utils.journal import Journal, read_lines
from ..utils.redaction import mentions_secret, redact_data
from . import upgrade
from .blobs import Blobs
from .schema import VERSION, RunRecord, ScoreRecord, StepRecord, TrialRecord, from_plain, to_plain

VERSIONS = (1, VERSION)
"""The versions of records that this release reads."""
Convert = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A function of `upgrade`: converts a record of version 1 to the current version."""
R = TypeVar("R")


_SHARE = 20  # a trial waits for the disk for a twentieth of its time at most


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a JSON file, replacing an older one atomically: a reader sees the old content or the new, never a part.

    Raises:
        RecordError: If it can't be written.
    """
    text = _encoded(data)
    if mentions_secret(text):
        text = _encoded(redact_data(data))
    try:
        safe_files.write_file(path, text)
    except OSError as e:
        raise RecordError(f"{path} can't be written: {e.strerror or e}") from e


def _encoded(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def read_json(path: Path) -> dict[str, Any]:
    """Reads a file that `write_json` wrote.

    Raises:
        DamagedRecord: If it is missing or damaged.
    """
    try:
        data = safe_files.parse_json(safe_files.read_file(path), path)
    except FileNotFoundError as e:
        raise DamagedRecord(f"{path} does not exist: is {path.parent} the folder of a run or trial?") from e
    if not isinstance(data, dict):
        raise DamagedRecord(f"{path} is damaged: expected a JSON object, got {type(data).__name__}")
    return data


def _upgraded(data: dict[str, Any], convert: Convert, path: Path) -> dict[str, Any]:
    """The content of a file, converted to the current version if it is older.

    Raises:
        DamagedRecord: If this release does not know the version, or the data can't be converted.
    """
    version = data.get("version", 1)
    if type(version) is not int or version not in VERSIONS:
        raise DamagedRecord(
            f"{path} is of version {version!r:.40}, which this release of opto_gym does not read (it reads "
            f"{VERSIONS}): use a newer release"
        )
    if version == VERSION:
        return data
    try:
        return convert(data)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        raise DamagedRecord(f"{path} is damaged: {type(e).__name__}: {e}. Restore it from a copy") from e


def read_trial(folder: Path) -> TrialRecord | None:
    """Reads the ``trial.json`` of a trial.

    Args:
        folder: The trial's folder.

    Returns:
        The record, or None if there is no such file or folder.

    Raises:
        DamagedRecord: If the file is damaged, or of a version that this release does not read; or if the folder is a
            link.
    """
    path = folder / "trial.json"
    if not (safe_files.check_folder(folder) and safe_files.exists(path)):
        return None
    return from_plain(_upgraded(read_json(path), upgrade.trial, path), TrialRecord, path)


class TrialFolder:
    """The folder with the records of one trial.

    To read a trial that may not exist, use `read_trial`, which creates nothing.

    What is recorded stays after a kill at any moment. After a power cut, the last steps may be missing; they are waited
    for as often as takes a twentieth of the trial's time, the graphs of steps before the steps, and all of them at the
    end. What is missing is evaluated again when the trial is resumed.

    Args:
        path: The folder; created if it is missing.

    Raises:
        RecordError: If it can't be created, or is a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            safe_files.make_folder(path)
        except OSError as e:
            raise RecordError(f"{path} can't be created: {e.strerror or e}") from e
        self._steps = Journal(path / "steps.jsonl")
        self._tests = Journal(path / "tests.jsonl")
        self._lock = threading.Lock()
        self._blobs = Blobs(path / "blobs")
        self._is_synced, self._synced_at, self._sync_seconds = True, 0.0, 0.0

    @property
    def llm(self) -> Path:
        """The file of the model calls."""
        return self.path / "llm.jsonl"

    def trial(self) -> TrialRecord | None:
        """Reads ``trial.json``; see `read_trial`."""
        return read_trial(self.path)

    def summary(self) -> TrialRecord | None:
        """The old name of `trial`, for one release."""
        return self.trial()

    def write_trial(self, record: TrialRecord) -> None:
        """Writes ``trial.json``, replacing an older one.

        Raises:
            RecordError: If it can't be written.
        """
        write_json(self.path / "trial.json", to_plain(record))

    def steps(self) -> list[StepRecord]:
        """Reads the oracle calls, in order of completion."""
        return self._read_steps(self.path)

    def tests(self) -> list[ScoreRecord]:
        """Reads the scorings on the test split, in order of completion."""
        path = self.path / "tests.jsonl"
        convert = upgrade.score if self._version() == 1 else dict
        lines = enumerate(read_lines(path), 1)
        return [_from_line(line, convert, ScoreRecord, f"{path}, line {number}") for number, line in lines]

    def lost_steps(self) -> list[StepRecord]:
        """Reads the oracle calls of all lost attempts."""
        return [step for folder in self.attempts() for step in self.steps_of_attempt(folder)]

    def steps_of_attempt(self, attempt: Path) -> list[StepRecord]:
        """Reads the oracle calls of a lost attempt; `attempt` is its folder, of `attempts`."""
        return self._read_steps(attempt)

    def calls(self) -> list[CallLine]:
        """Reads the model calls, in order of completion."""
        return read_calls(self.llm)

    def lost_calls(self) -> list[CallLine]:
        """Reads the model calls of all lost attempts."""
        return [line for folder in self.attempts() for line in read_calls(folder / self.llm.name)]

    def attempts(self) -> list[Path]:
        """The folders of the lost attempts, in order."""
        lost = self.path / "lost"
        if not safe_files.check_folder(lost):
            return []
        numbered = [folder for folder in lost.iterdir() if re.fullmatch("[1-9][0-9]{0,8}", folder.name)]
        return [f for f in sorted(numbered, key=lambda folder: int(folder.name)) if safe_files.check_folder(f)]

    def archive_attempt(self) -> None:
        """Moves the records of an attempt that can't be continued into ``lost/N``.

        An attempt that made no model call and evaluated nothing but the start values is not archived.

        ``steps.jsonl`` is moved last. If the process is killed before that, the next call of this method finds
        ``lost/N`` without that file, and moves the remaining files there.

        Raises:
            RecordError: If the files can't be moved.
        """
        steps, attempts = self.path / "steps.jsonl", self.attempts()
        incomplete = bool(attempts) and not safe_files.exists(attempts[-1] / steps.name)
        if not incomplete and not read_lines(self.llm) and not any(step.call for step in self.steps()):
            return
        folder = attempts[-1] if incomplete else self.path / "lost" / str(len(attempts) + 1)
        try:
            safe_files.make_folder(folder)
            os.close(safe_files.open_to_append(steps))
            for path in (self.llm, self.path / "tests.jsonl", steps):
                if safe_files.exists(path):
                    path.replace(folder / path.name)
        except OSError as e:
            raise RecordError(f"{folder} can't be written: {e.strerror or e}") from e

    def add_step(self, step: StepRecord, graph_json: str) -> None:
        """Records an oracle call.

        Args:
            step: The call.
            graph_json: Its trace graph as JSON text, which goes into ``blobs/`` under the hash ``step.graph``.

        Raises:
            RecordError: If it can't be written.
        """
        with self._lock:
            self._blobs.write(step.graph, graph_json)
            self._append(self._steps, to_plain(step))
            if time.monotonic() - self._synced_at >= _SHARE * self._sync_seconds:
                self._sync()

    def add_test(self, scored: ScoreRecord) -> None:
        """Records a scoring on the test split.

        Raises:
            RecordError: If it can't be written.
        """
        with self._lock:
            self._append(self._tests, to_plain(scored))

    def blob(self, name: str) -> str:
        """Reads a text from ``blobs/``.

        Args:
            name: The SHA-256 of the text, in hexadecimal.

        Raises:
            RecordError: If the file is missing, or its content has another hash.
        """
        return self._blobs.read(name)

    def write_blob(self, name: str, text: str) -> None:
        """Writes a text into ``blobs/``, unless it is there and whole; see `Blobs.write`."""
        with self._lock:
            self._blobs.write(name, text)
            self._is_synced = False

    def remove_parts(self) -> None:
        """Removes the unfinished files of a process that was killed. No other process may write into the folder.

        Raises:
            RecordError: If they can't be removed.
        """
        try:
            for folder in filter(safe_files.check_folder, (self.path, self.path / "blobs")):
                for part in folder.glob("*.part"):
                    part.unlink()
        except OSError as e:
            raise RecordError(f"{self.path} can't be written: {e.strerror or e}") from e

    def close(self) -> None:
        """Waits until everything is on the disk, and closes the files."""
        with self._lock:
            try:
                self._sync()
            finally:
                self._steps.close()
                self._tests.close()

    def _append(self, journal: Journal, line: dict[str, Any]) -> None:
        journal.append(line)
        self._is_synced = False

    def _sync(self) -> None:
        """Waits until everything is on the disk, the blobs before the steps that name them."""
        if self._is_synced:
            return
        begin = time.monotonic()
        self._blobs.sync()
        self._steps.flush()
        self._tests.flush()
        self._is_synced, self._synced_at = True, time.monotonic()
        self._sync_seconds = self._synced_at - begin

    def _version(self) -> int:
        """The version of the trial, which its ``.jsonl`` files share."""
        path = self.path / "trial.json"
        return int(read_json(path).get("version", 1)) if safe_files.exists(path) else VERSION

    def _read_steps(self, folder: Path) -> list[StepRecord]:
        path = folder / "steps.jsonl"
        convert = upgrade.step if self._version() == 1 else dict
        lines = enumerate(read_lines(path), 1)
        return [_from_line(line, convert, StepRecord, f"{path}, line {number}") for number, line in lines]


def _from_line(line: dict[str, Any], convert: Convert, kind: type[R], place: str) -> R:
    """The record on one line of a ``.jsonl`` file.

    Args:
        line: The line's JSON object.
        convert: Converts it to the current version.
        kind: The struct.
        place: The file and the line's number, for the error.

    Raises:
        DamagedRecord: If the line does not fit the struct.
    """
    try:
        return from_plain(convert(line), kind, place)
    except (KeyError, TypeError, AttributeError) as e:  # raised by the conversion
        raise DamagedRecord(f"{place} is damaged: {type(e).__name__}: {e}. Restore it from a copy") from e


class RunFolder:
    """The folder of a run. Only one process at a time may hold its lock.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: filelock.BaseFileLock | None = None

    def lock(self) -> None:
        """Locks the folder for this process; creates it if it is missing.

        Raises:
            RecordError: If another process holds the lock, or the folder can't be written.
        """
        note = self.path / "lock.txt"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            safe_files.check_folder(self.path / "trials")
            lock = self.path / ".lock"
            os.close(safe_files.open_to_append(lock))  # it is no link, so that nothing else is emptied
            self._lock = filelock.FileLock(lock)
            self._lock.acquire(blocking=False)
            safe_files.write_file(note, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), durable=False)
        except filelock.Timeout as e:
            self._lock = None
            raise RecordError(f"{self.path} is in use by {self._holder()}: wait for it, or use another --out") from e
        except OSError as e:
            self.unlock()
            raise RecordError(f"{self.path} can't be written: {e.strerror or e}. Choose another --out") from e

    def _holder(self) -> str:
        """Who holds the lock, as far as its note says so."""
        try:
            return safe_files.read_file(self.path / "lock.txt", 1000).decode("utf-8", "replace").strip()
        except (FileNotFoundError, DamagedRecord):
            return "another process"

    def unlock(self) -> None:
        """Releases the lock, if this object holds it."""
        if self._lock is not None:
            with contextlib.suppress(OSError):  # a disk that went read-only keeps the note
                (self.path / "lock.txt").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    @property
    def plan(self) -> RunRecord:
        """The content of ``run.json``.

        Raises:
            RecordError: If it is missing, damaged, or of a version that this release does not read.
        """
        path = self.path / "run.json"
        return from_plain(_upgraded(read_json(path), upgrade.run, path), RunRecord, path)

    @property
    def has_plan(self) -> bool:
        """Whether there is a ``run.json``."""
        return safe_files.exists(self.path / "run.json")

    def write_plan(self, record: RunRecord) -> None:
        """Writes ``run.json``, replacing an older one.

        Raises:
            RecordError: If it can't be written.
        """
        write_json(self.path / "run.json", to_plain(record))

    def trial_path(self, trial: str) -> Path:
        """The folder of a trial, which may not exist yet.

        Args:
            trial: The trial's id.
        """
        return self.path / "trials" / trial

    def trials(self) -> list[Path]:
        """The folders of all trials that have a ``trial.json``, sorted.

        Raises:
            DamagedRecord: If ``trials`` is a link or no folder.
        """
        folder = self.path / "trials"
        if not safe_files.check_folder(folder):
            return []
        return sorted(path for path in folder.iterdir() if safe_files.exists(path / "trial.json"))
