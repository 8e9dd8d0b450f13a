"""Runs code that an optimizer proposes, in restricted processes. docs/sandbox.md describes the levels of protection."""

from typing import TYPE_CHECKING

from ..utils.moved import moved_names
from .box import Sandbox, shared, start_ahead
from .process import CandidateProcess
from .results import CandidateError, Limits, Result

__all__ = ["CandidateError", "CandidateProcess", "Limits", "Result", "Sandbox", "shared", "start_ahead"]


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"Program": "sandbox.process:CandidateProcess"})
