"""Trials on disk: one folder a trial, one file a kind of record.

::

    runs/first/run.json                       what was asked for: --resume needs nothing else
    runs/first/trials/TRIAL/trial.json        what ran, where, and the summary; status: running, done, failed
                           /steps.jsonl       each oracle call: parameters, score, feedback, hash of the graph
                           /tests.jsonl       each scoring on test
                           /llm.jsonl         each call of a model
                           /blobs/HASH.json.gz   graphs
                           /lost/N/           the same three files of a try that was not gone on with

The leaderboard is computed from these folders alone.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..utils.journal import Journal, read_lines

VERSION = 1


def digest(data: Any) -> str:
    """SHA-256 of plain data's canonical JSON, in hexadecimal."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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

    def summary(self) -> dict[str, Any] | None:
        """``trial.json``, or None before it is written."""
        path = self.path / "trial.json"
        return read_json(path) if path.exists() else None

    def write_summary(self, data: Mapping[str, Any]) -> None:
        """Replaces ``trial.json``."""
        write_json(self.path / "trial.json", data)

    def steps(self) -> list[dict[str, Any]]:
        """The recorded oracle calls, in order of completion."""
        return read_lines(self.path / "steps.jsonl")

    def tests(self) -> list[dict[str, Any]]:
        """The recorded scorings on test."""
        return read_lines(self.path / "tests.jsonl")

    def lost(self, name: str) -> list[dict[str, Any]]:
        """The records of one of the files, of all tries that are lost."""
        return [line for folder in self.tries() for line in read_lines(folder / name)]

    def tries(self) -> list[Path]:
        """The folders of the tries that are lost, in order."""
        return sorted((self.path / "lost").glob("*"), key=lambda folder: int(folder.name))

    def archive_attempt(self) -> None:
        """Moves the record of a try that is not gone on with into ``lost/N``; the start values alone are no try.

        The steps go last: who is killed before goes on with the same N.
        """
        steps, tries = self.path / "steps.jsonl", self.tries()
        torn = bool(tries) and not (tries[-1] / steps.name).exists()
        if not torn and not read_lines(self.llm) and not any(line["call"] for line in self.steps()):
            return
        folder = tries[-1] if torn else self.path / "lost" / str(len(tries) + 1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            steps.touch()
            for path in (self.llm, self.path / "tests.jsonl", steps):
                if path.exists():
                    path.replace(folder / path.name)
        except OSError as e:
            raise RecordError(f"{folder} can't be written: {e.strerror or e}") from e

    def add_step(self, line: dict[str, Any], graph_json: str) -> None:
        """Records an oracle call; its graph goes into the blobs."""
        self._write_blob(line["graph"], graph_json)
        self._steps.append(line)

    def add_test(self, line: dict[str, Any]) -> None:
        """Records a scoring."""
        self._tests.append(line)

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

    def close(self) -> None:
        """Closes the files."""
        self._steps.close()
        self._tests.close()


class RunFolder:
    """The folder of a run, locked for this process while it is open for work.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Any = None

    def lock(self) -> None:
        """Takes the folder for this process, which must be able to write there.

        Raises:
            RecordError: If another process has it, or nothing can be written.
        """
        import filelock

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
    def plan(self) -> dict[str, Any]:
        """``run.json``."""
        return read_json(self.path / "run.json")

    def write_plan(self, data: Mapping[str, Any]) -> None:
        """Replaces ``run.json``."""
        write_json(self.path / "run.json", data)

    def trial_path(self, trial: str) -> Path:
        """A trial's folder."""
        return self.path / "trials" / trial

    def trials(self) -> list[Path]:
        """The folders of all trials that have begun, sorted."""
        folder = self.path / "trials"
        return sorted(p.parent for p in folder.glob("*/trial.json")) if folder.exists() else []
