"""Runs trials, records them on disk, computes statistics over them, and writes report pages."""

from typing import TYPE_CHECKING

from ..utils.moved import moved_names
from .config import RunConfig
from .execution import RunResult
from .planning import Plan
from .records import RunFolder, TrialFolder
from .replaying import replay
from .reporting.page import report
from .runner import plan, resume, run
from .spec import TrialSpec
from .trial import Outcome, TrialRunner

__all__ = [
    "Outcome",
    "Plan",
    "RunConfig",
    "RunFolder",
    "RunResult",
    "TrialFolder",
    "TrialRunner",
    "TrialSpec",
    "plan",
    "replay",
    "report",
    "resume",
    "run",
]

if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__, {"Spec": "leaderboard.spec:TrialSpec", "Trial": "leaderboard.trial:TrialRunner"}
    )
