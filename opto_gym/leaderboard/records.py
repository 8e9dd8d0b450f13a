"""Trials on disk: one folder a trial, one file a kind of record.

::

    runs/first/run.json                       what was asked for: --resume needs nothing else
    runs/first/trials/TRIAL/trial.json        what ran, where, and the summary; status: running, done, failed
                           /steps.jsonl       each oracle call: parameters, score, feedback, hash of the graph
                           /tests.jsonl       each scoring on test
                           /llm.jsonl         each call of a model
                           /blobs/HASH.json.gz   graphs
                           /lost/N/           the same three files of an attempt that could not be continued

The leaderboard is computed from these folders alone. `schema` describes what the files hold.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import filelock

from ..errors import RecordError
from ..llm.calls import CallLine
from ..llm.record import read_calls
from ..utils.journal import Journal, read_lines
from . import upgrade
from .schema import VERSION, RunRecord, ScoreRecord, StepRecord, TrialRecord, from_plain, to_plain

VERSIONS = (1, VERSION)
"""The versions of records that this release reads."""
Convert = Callable[[Mapping[str, Any]], dict[str, Any]]
R = TypeVar("R")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replaces a small file in one move, so that it is always whole.

    Raises:
        RecordError: If it can't be written.
    """
    part = path.with_name(path.name + ".part")
    text = json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    try:
        with part.open("wb") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        part.replace(path)
    except OSError as e:
        raise RecordError(f"{path} can't be written: {e.strerror or e}") from e


def read_json(path: Path) -> dict[str, Any]:
    """A file that `write_json` wrote.

    Raises:
        RecordError: If it is missing or damaged.
    """
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError as e:
        raise RecordError(f"{path} does not exist: is {path.parent} the folder of a run or trial?") from e
    except ValueError as e:
        raise RecordError(f"{path} is damaged: {e}") from e
    if not isinstance(data, dict):
        raise RecordError(f"{path} expected a JSON object, got {type(data).__name__}")
    return data


def _current(data: dict[str, Any], convert: Convert, place: Path) -> dict[str, Any]:
    """Data of today's version.

    Raises:
        RecordError: If it is of a version that this release does not know, or can't be converted.
    """
    version = data.get("version", 1)
    if version not in VERSIONS:
        raise RecordError(
            f"{place} is of version {version!r}, which this release of opto_gym does not read (it reads {VERSIONS}): "
            "use a newer release"
        )
    if version == VERSION:
        return data
    try:
        return convert(data)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        raise RecordError(f"{place} is damaged: {type(e).__name__}: {e}. Restore it from a copy") from e


class TrialFolder:
    """The record of one trial.

    Args:
        path: Its folder; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            (path / "blobs").mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise RecordError(f"{path} can't be made: {e.strerror or e}") from e
        self._steps = Journal(path / "steps.jsonl")
        self._tests = Journal(path / "tests.jsonl")

    @property
    def llm(self) -> Path:
        """The file of the model's calls."""
        return self.path / "llm.jsonl"

    def trial(self) -> TrialRecord | None:
        """``trial.json``, or None before it is written.

        Raises:
            RecordError: If it is damaged, or of a version that this release does not read.
        """
        path = self.path / "trial.json"
        if not path.exists():
            return None
        return from_plain(_current(read_json(path), upgrade.trial, path), TrialRecord, path)

    def summary(self) -> TrialRecord | None:
        """The old name of `trial`, for one release."""
        return self.trial()

    def write_trial(self, record: TrialRecord) -> None:
        """Replaces ``trial.json``."""
        write_json(self.path / "trial.json", to_plain(record))

    def steps(self) -> list[StepRecord]:
        """The recorded oracle calls, in order of completion."""
        return self._read_steps(self.path)

    def tests(self) -> list[ScoreRecord]:
        """The recorded scorings on test."""
        path = self.path / "tests.jsonl"
        lines = enumerate(read_lines(path), 1)
        convert = upgrade.score if self._version() == 1 else dict
        return [_line(line, convert, ScoreRecord, f"{path}, line {k}") for k, line in lines]

    def lost_steps(self) -> list[StepRecord]:
        """The oracle calls of all attempts that are lost."""
        return [step for folder in self.attempts() for step in self._read_steps(folder)]

    def calls(self) -> list[CallLine]:
        """The recorded model calls, in order of completion."""
        return read_calls(self.llm)

    def lost_calls(self) -> list[CallLine]:
        """The model calls of all attempts that are lost."""
        return [line for folder in self.attempts() for line in read_calls(folder / self.llm.name)]

    def attempts(self) -> list[Path]:
        """The folders of the attempts that are lost, in order."""
        return sorted((self.path / "lost").glob("*"), key=lambda folder: int(folder.name))

    def archive_attempt(self) -> None:
        """Moves the record of an attempt that can't be continued into ``lost/N``; the start values alone are none.

        The steps are moved last: if the process is killed before, the next one continues with the same N.
        """
        steps, attempts = self.path / "steps.jsonl", self.attempts()
        torn = bool(attempts) and not (attempts[-1] / steps.name).exists()
        if not torn and not read_lines(self.llm) and not any(step.call for step in self.steps()):
            return
        folder = attempts[-1] if torn else self.path / "lost" / str(len(attempts) + 1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            steps.touch()
            for path in (self.llm, self.path / "tests.jsonl", steps):
                if path.exists():
                    path.replace(folder / path.name)
        except OSError as e:
            raise RecordError(f"{folder} can't be written: {e.strerror or e}") from e

    def add_step(self, step: StepRecord, graph_json: str) -> None:
        """Records an oracle call; its graph goes into the blobs."""
        self._write_blob(step.graph, graph_json)
        self._steps.append(to_plain(step))

    def add_test(self, scored: ScoreRecord) -> None:
        """Records a scoring."""
        self._tests.append(to_plain(scored))

    def blob(self, name: str) -> str:
        """A blob's text, checked against its name.

        Raises:
            RecordError: If it is missing or damaged.
        """
        path = self.path / "blobs" / f"{name}.json.gz"
        try:
            data = gzip.decompress(path.read_bytes())
        except (OSError, EOFError) as e:
            raise RecordError(f"{path} is missing or damaged: {e}") from e
        if hashlib.sha256(data).hexdigest() != name:
            raise RecordError(f"{path} is damaged: its content has another hash")
        return data.decode()

    def close(self) -> None:
        """Closes the files."""
        self._steps.close()
        self._tests.close()

    def _version(self) -> int:
        """The version of the lines: the trial's."""
        path = self.path / "trial.json"
        return int(read_json(path).get("version", 1)) if path.exists() else VERSION

    def _read_steps(self, folder: Path) -> list[StepRecord]:
        path = folder / "steps.jsonl"
        convert = upgrade.step if self._version() == 1 else dict
        return [_line(line, convert, StepRecord, f"{path}, line {k}") for k, line in enumerate(read_lines(path), 1)]

    def _write_blob(self, name: str, text: str) -> None:
        path = self.path / "blobs" / f"{name}.json.gz"
        if path.exists():
            return
        part = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            part.write_bytes(gzip.compress(text.encode(), 6, mtime=0))
            part.replace(path)
        except OSError as e:
            raise RecordError(f"{path} can't be written: {e.strerror or e}. What is recorded is safe") from e


def _line(line: dict[str, Any], convert: Convert, kind: type[R], place: str) -> R:
    """A line as a record.

    Raises:
        RecordError: If it does not fit; the message says which line.
    """
    try:
        return from_plain(convert(line), kind, place)
    except (KeyError, TypeError, AttributeError) as e:  # of the converter
        raise RecordError(f"{place} is damaged: {type(e).__name__}: {e}. Restore it from a copy") from e


class RunFolder:
    """The folder of a run, locked for this process while it is open for work.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: filelock.BaseFileLock | None = None

    def lock(self) -> None:
        """Takes the folder for this process, which must be able to write there.

        Raises:
            RecordError: If another process has it, or nothing can be written.
        """
        note = self.path / "lock.txt"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(self.path / ".lock")
            self._lock.acquire(blocking=False)
            note.write_text(f"process {os.getpid()} on {os.uname().nodename}\n", encoding="utf-8")
        except filelock.Timeout as e:
            self._lock = None
            holder = note.read_text(encoding="utf-8").strip() if note.exists() else "another process"
            raise RecordError(f"{self.path} is in use by {holder}: wait for it, or use another --out") from e
        except OSError as e:
            raise RecordError(f"{self.path} can't be written: {e.strerror or e}. Choose another --out") from e

    def unlock(self) -> None:
        """Gives the folder back."""
        if self._lock is not None:
            (self.path / "lock.txt").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    @property
    def plan(self) -> RunRecord:
        """``run.json``.

        Raises:
            RecordError: If it is missing, damaged, or of a version that this release does not read.
        """
        path = self.path / "run.json"
        return from_plain(_current(read_json(path), upgrade.run, path), RunRecord, path)

    @property
    def has_plan(self) -> bool:
        """Whether there is a ``run.json``."""
        return (self.path / "run.json").exists()

    def write_plan(self, record: RunRecord) -> None:
        """Replaces ``run.json``."""
        write_json(self.path / "run.json", to_plain(record))

    def trial_path(self, trial: str) -> Path:
        """A trial's folder."""
        return self.path / "trials" / trial

    def trials(self) -> list[Path]:
        """The folders of all trials that have begun, sorted."""
        folder = self.path / "trials"
        return sorted(p.parent for p in folder.glob("*/trial.json")) if folder.exists() else []
