"""The exceptions of opto_gym, drawn once.

::

    OptoGymError                what a programmer, a machine or an endpoint did; never feedback for an optimizer
    ├── TraceError              the tracer was misused
    ├── ProposalError           a call with unknown or missing parameter names
    ├── EndpointError           a language model can't be reached or refuses
    ├── ModelNotFound           the embedded model is not installed
    ├── MissingExtra            a package that an extra or `opto-gym external install` brings is not installed
    ├── DataNotFound            a data set is not on this machine, or is damaged
    ├── SandboxError            code can't be run as safely as asked
    ├── RecordError             a run folder is damaged, locked or can't be written
    └── ReplayMismatch          a replayed trial does something else than its record
    trace.ExecutionError        what an optimizer's proposal did: becomes feedback
    BudgetSpent                 the end of a trial; a BaseException

Operators let OptoGymError pass through unchanged, so that a dead endpoint inside an operator is never taken for a bad
proposal.
"""

from __future__ import annotations


class OptoGymError(Exception):
    """What a programmer, a machine or an endpoint did. Never feedback."""


class TraceError(OptoGymError):
    """The tracer was misused: the program's author must change something. The message says what."""


class ProposalError(OptoGymError, KeyError):
    """A call by a programmer names parameters that the problem does not have, or leaves some out."""

    __str__ = Exception.__str__  # KeyError would show the message's repr


class EndpointError(OptoGymError):
    """A language model endpoint can't be reached, or refuses, after all attempts.

    Attributes:
        status: Of the last attempt's HTTP answer, or None where none came.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ModelNotFound(OptoGymError):
    """The embedded model's file is not on this machine."""


class MissingExtra(OptoGymError, ImportError):
    """A package that one of opto_gym's extras, or `opto-gym external install`, brings is not installed."""


class DataNotFound(OptoGymError):
    """A data set is not on this machine, or its files are not what they should be."""


class SandboxError(OptoGymError):
    """The sandbox itself can't work, or not at the level asked for."""


class RecordError(OptoGymError):
    """A run folder is damaged, in use by another process, or can't be written."""


class ReplayMismatch(OptoGymError):
    """A replayed trial asked for something that its record does not hold."""


class BudgetSpent(BaseException):
    """A budget is used up, which ends the trial.

    A BaseException, so that the ``except Exception`` of a third party's loop can't swallow it.

    Attributes:
        limit: The budget's name, such as ``"llm_calls"``.
    """

    def __init__(self, limit: str, message: str = "") -> None:
        super().__init__(message or f"the budget of {limit} is spent")
        self.limit = limit
