"""Checks that the files of an ended trial hold what its summary was computed from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import DamagedRecord
from .records import TrialFolder
from .schema import StepRecord, TrialRecord
from .spec import digest


def check_whole(record: TrialRecord, path: Path, steps: Sequence[StepRecord], scored: Collection[str]) -> None:
    """Checks that no line of an ended trial is missing, such as one that a power cut took.

    Args:
        record: The content of ``trial.json``.
        path: The trial's folder.
        steps: The recorded oracle calls.
        scored: The hashes of the parameters that are scored in ``tests.jsonl``.

    Raises:
        DamagedRecord: If there are fewer oracle calls than the trial made, or if the scored parameters are missing.
    """
    summary = record.summary
    if summary is None:
        return
    mend = "`opto-gym run --resume` evaluates again what is missing; or restore it from a copy"
    found = sum(step.call > 0 for step in steps)
    if not steps or found < summary.oracle_calls:
        raise DamagedRecord(
            f"{path / 'steps.jsonl'} is damaged: expected the start values and {summary.oracle_calls} oracle calls, "
            f"got {len(steps)} lines. {mend}"
        )
    if summary.recommended_score is not None and digest(summary.recommended) not in scored:
        raise DamagedRecord(
            f"{path / 'tests.jsonl'} is damaged: expected the score of the recommended parameters, got {len(scored)} "
            f"lines without it. {mend}"
        )


def is_whole(record: TrialRecord, path: Path) -> bool:
    """Whether `check_whole` finds nothing missing in the files of a trial.

    Raises:
        DamagedRecord: If a file can't be read.
    """
    folder = TrialFolder(path)
    steps, scored = folder.steps(), {score.parameters_hash for score in folder.tests()}
    try:
        check_whole(record, path, steps, scored)
    except DamagedRecord:
        return False
    return True
