"""Running trials, their records on disk, statistics, report pages."""

from .planning import Plan, plan
from .records import RunFolder, TrialFolder
from .replaying import replay
from .reporting.page import report
from .runner import RunResult, resume, run
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
