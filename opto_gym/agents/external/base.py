"""The base class of optimizers in a process of their own, which ask their model and their oracle over HTTP.

The process gets a token for one trial and an empty home folder. The model's key, the record and the test examples stay
in opto_gym's process. A crash, a hang or too much memory fails the trial; what the program found before is kept.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import BudgetSpent, OptoGymError
from ...problems import Problem
from ...utils.checks import number_in
from ..base import Agent, Oracle, Values
from .process import Process

if TYPE_CHECKING:
    from .server import Session

GRACE_SECONDS = 10.0
"""How long a program may go on without a request after the budget is spent, before it is ended."""
MAX_REFUSED_CALLS = 20
"""After so many calls over the budget a program is ended, since it does not stop by itself."""
POLL_SECONDS = 0.1
"""The seconds between two looks at the process."""
POLLS_PER_MEMORY_CHECK = 5
"""The memory is measured at every fifth look, since that takes longer the more processes the machine has."""
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SSL_CERT_FILE")
"""The environment variables that a program gets unchanged."""


class External(Agent):
    """A program as an optimizer. Subclasses implement `command`.

    Args:
        model: The model that the program may ask.
        base_url: The model's endpoint.
        memory: The GB of memory that the program and its descendants may have together.
        patience: The seconds that it may run without a request.

    Attributes:
        kinds: The kinds of parameters that it works on, each with ``native``, or with how the values are adapted.
            Problems with parameters of other kinds are refused.
        settings: Plain data that the program gets with its task.

    Raises:
        MissingExtra: If the extra ``external`` is not installed.
    """

    needs: ClassVar[tuple[str, ...]] = ("starlette", "uvicorn", "psutil")
    kinds: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, *, model: str | None = None, base_url: str | None = None, memory: float = 8.0, patience: float = 300.0
    ) -> None:
        super().__init__(model=model, base_url=base_url)
        number_in("(0, inf)", memory=memory, patience=patience)
        self.memory, self.patience = memory, patience
        self.settings: dict[str, Any] = {}
        self._session: Session | None = None

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why the program can't work on the problem's kinds of parameters, or None."""
        kinds = {p.name: type(p.space).__name__ for p in problem.parameters}
        refused = [f"{name} ({kind})" for name, kind in kinds.items() if kind not in cls.kinds]
        if refused:
            return f"{cls.__name__} takes parameters of kind {', '.join(cls.kinds)}, not {', '.join(refused)}"
        return None

    @classmethod
    def supported_kinds(cls) -> Mapping[str, str]:
        """The kinds of parameters in `kinds`."""
        return cls.kinds

    def command(self) -> Sequence[str]:
        """The command that runs the program."""
        raise NotImplementedError

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, without a recommendation of the program."""
        super().reset(problem, seed=seed)
        self._seed, self._session = seed, None

    def recommend(self) -> Values | None:
        """The program's last recommendation, if it made one."""
        return self._session.recommended if self._session else None

    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """Runs the program until it ends, or is ended after the budget is spent.

        Raises:
            OptoGymError: If the program fails, hangs, or takes too much memory.
            BudgetSpent: If the budget is spent.
        """
        from .server import EvaluationServer

        client = self.llm if self.uses_model else None
        with (
            EvaluationServer() as server,
            server.open(
                client, problem, oracle, seed=self._seed, settings=self.settings, invalid=self.invalid
            ) as self._session,
            tempfile.TemporaryDirectory(prefix="opto-gym-", ignore_cleanup_errors=True) as home,
            Process(self.command(), home, self._environment(self._session, home)) as process,
        ):
            self._wait_for_end(process, self._session)
        # here the calls that were in flight have ended too
        if self._session.failure is not None:
            raise self._session.failure
        if self._session.spent is not None:
            raise self._session.spent

    def _environment(self, session: Session, home: str) -> dict[str, str]:
        """All environment variables of the process; those that could make two runs differ are fixed."""
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return kept | {
            "HOME": home,
            "TMPDIR": home,
            "XDG_CACHE_HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_CONFIG_HOME": home,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",  # so that its last output is read, however it ends
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            "NO_PROXY": "127.0.0.1",
            "OPTO_GYM_URL": session.base_url,
            "OPTO_GYM_TOKEN": session.token,
            "OPENAI_BASE_URL": session.base_url,
            "OPENAI_API_KEY": session.token,
        }

    def _wait_for_end(self, process: Process, session: Session) -> None:
        """Waits until the program ends or has to be ended.

        Raises:
            OptoGymError: If the program fails, hangs, or takes too much memory.
            BudgetSpent: If the time is spent.
        """
        begin = time.monotonic()
        for look in itertools.count():
            status = process.wait(POLL_SECONDS)
            if session.failure is not None:  # checked first, since it explains how the program ended
                return
            over = session.oracle.over or session.spent is not None
            if status is not None:
                if status == 0 or over:  # a package may fail on a refused call
                    return
                raise session.refusal or self._error(f"{process.describe_end(status)}: {process.output_tail()}")
            if session.oracle.budget.left("seconds") <= 0:
                raise BudgetSpent("seconds")
            quiet = time.monotonic() - max(begin, session.last) if session.idle else 0.0
            if over and (quiet > GRACE_SECONDS or session.refused >= MAX_REFUSED_CALLS):
                return
            if quiet > self.patience:
                raise self._error(f"made no request for {self.patience:g} seconds: {process.output_tail()}")
            if look % POLLS_PER_MEMORY_CHECK == 0 and (used := process.memory()) > self.memory * 1e9:
                raise self._error(f"used {used / 1e9:.1f} GB of memory, more than its {self.memory:g} GB")

    def _error(self, reason: str) -> OptoGymError:
        return OptoGymError(f"{type(self).__name__} {reason}")
