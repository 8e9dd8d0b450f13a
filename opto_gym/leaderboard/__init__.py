"""Running trials, their records on disk, statistics, report pages."""

from .records import RunFolder, TrialFolder
from .report import report
from .run import Plan, RunResult, plan, replay, resume, run
from .spec import Spec
from .trial import Outcome, Trial

__all__ = [
    "Outcome",
    "Plan",
    "RunFolder",
    "RunResult",
    "Spec",
    "Trial",
    "TrialFolder",
    "plan",
    "replay",
    "report",
    "resume",
    "run",
]
