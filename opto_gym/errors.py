"""The exceptions of opto_gym.

::

    OptoGymError                caused by a programmer, the machine or an endpoint; never becomes feedback
    ├── TraceError              the tracer was misused
    ├── ProposalError           a call with unknown or missing parameter names
    ├── SettingsError           a key, an address, a proxy or a model's name can't be used as it is
    ├── EndpointError           a language model can't be reached or refuses
    ├── ModelNotFound           the embedded model is not installed
    ├── MissingExtra            a package that an extra or `opto-gym external install` brings is not installed
    ├── DataNotFound            a data set is not on this machine, or is damaged
    ├── SandboxError            code can't be run as safely as asked
    │   └── SandboxKilled       the machine, and not the code, ended the process that ran it
    ├── TrustError              a file that the user did not make names code that is not registered
    ├── RecordError             a run folder is damaged, locked or can't be written
    │   └── DamagedRecord       a file of it is not as opto_gym writes it
    └── ReplayMismatch          a replayed trial does something else than its record
    trace.ExecutionError        caused by an optimizer's proposal; becomes feedback
    BudgetSpent                 ends a trial; a BaseException

Operators let an OptoGymError pass through unchanged, so that an unreachable endpoint inside an operator is never taken
for a bad proposal.
"""

from __future__ import annotations


class OptoGymError(Exception):
    """The base class of errors that a programmer, the machine or an endpoint causes. They never become feedback."""


class TraceError(OptoGymError):
    """The tracer was misused. The message says what the author of the program must change."""


class ProposalError(OptoGymError, KeyError):
    """A call names parameters that the problem does not have, or leaves some out."""

    __str__ = Exception.__str__  # KeyError would show the message's repr


class SettingsError(OptoGymError, ValueError):
    """A key, an address, a proxy or a model's name can't be used as it is given. The message says how to mend it."""


class EndpointError(OptoGymError):
    """An endpoint can't be reached, or refuses the request, after all attempts.

    Attributes:
        status: The HTTP status of the last attempt's answer; None if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ModelNotFound(OptoGymError):
    """The embedded model's file is not on this machine."""


class MissingExtra(OptoGymError, ImportError):
    """A package that one of opto_gym's extras, or `opto-gym external install`, brings is not installed."""


class DataNotFound(OptoGymError):
    """A data set is not on this machine, or its files are damaged or have another form than the published ones."""


class SandboxError(OptoGymError):
    """The sandbox can't work on this machine, or not at the required level."""


class SandboxKilled(SandboxError):
    """Neither the code nor a limit ended the process that ran a candidate's code, or the zygote: the machine did.

    The kernel does so when memory runs out. An example is evaluated again, twice at most, before this error ends a
    trial, which has no score then and can be resumed.
    """


class RecordError(OptoGymError):
    """A run folder is damaged, in use by another process, or can't be written."""


class TrustError(OptoGymError):
    """A record, suite or configuration that this user has neither made nor trusted names what is not registered."""


class DamagedRecord(RecordError):
    """A file of a run's folder is missing, damaged, or of another kind than opto_gym writes. The message names it."""


class ReplayMismatch(OptoGymError):
    """A replayed trial made a request that is not in its record."""


class BudgetSpent(BaseException):
    """A budget is used up, which ends the trial.

    It is a BaseException, so that an ``except Exception`` in third-party code can't catch it.

    Attributes:
        limit: The budget's name, such as ``"llm_calls"``.
    """

    def __init__(self, limit: str, message: str = "") -> None:
        super().__init__(message or f"the budget of {limit} is spent")
        self.limit = limit
