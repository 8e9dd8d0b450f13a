"""The only code that runs parameters of kind code: processes, limits, protocol. See docs/sandbox.md."""

from .box import Program, Sandbox, shared
from .results import CandidateError, Limits, Result

__all__ = ["CandidateError", "Limits", "Program", "Result", "Sandbox", "shared"]
