"""An optimizer in a process of its own, with a HOME of its own, which asks its model and its oracle over HTTP.

The process gets a token for one trial and nothing else: the model's key, the record and the test examples stay here.
What it does wrong, a crash, a hang, too much memory, is the trial's failure; what it had found by then is kept.
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

GRACE = 10.0
"""Seconds that a program has for its end after the budget's, if it asks for nothing that can still be had."""
PERSISTENT = 20
"""Calls over the budget after which a program is taken for one that will never stop."""
LOOK = 0.1
"""Seconds between two looks at the process."""
MEMORY = 5
"""Looks for one at the memory, which takes the longer the more processes the machine has."""
KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SSL_CERT_FILE")
"""The environment variables that a program gets as they are."""


class External(Agent):
    """A program as an optimizer. Subclasses say which.

    Args:
        model: The model that the program may ask.
        base_url: Its endpoint.
        memory: GB that the program and its descendants may have together.
        patience: Seconds that it may go on without asking for anything.

    Attributes:
        kinds: What the program does with each kind of parameter: ``native``, or how it is adapted. The others are
            refused.
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
        """`kinds`."""
        return cls.kinds

    def command(self) -> Sequence[str]:
        """The command that runs the program."""
        raise NotImplementedError

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self._seed, self._session = seed, None

    def recommend(self) -> Values | None:
        """The program's own choice, if it has said so."""
        return self._session.recommended if self._session else None

    def optimize(self, problem: Problem, oracle: Oracle) -> None:
        """Runs the program to its end, or the budget's."""
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
            self._watch(process, self._session)
        # the calls that were in flight have ended too
        if self._session.failure is not None:
            raise self._session.failure
        if self._session.spent is not None:
            raise self._session.spent

    def _environment(self, session: Session, home: str) -> dict[str, str]:
        """The process's whole environment. What could make two runs differ is set."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return kept | {
            "HOME": home,
            "TMPDIR": home,
            "XDG_CACHE_HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_CONFIG_HOME": home,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",  # its last words are heard, however it ends
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            "NO_PROXY": "127.0.0.1",
            "OPTO_GYM_URL": session.base_url,
            "OPTO_GYM_TOKEN": session.token,
            "OPENAI_BASE_URL": session.base_url,
            "OPENAI_API_KEY": session.token,
        }

    def _watch(self, process: Process, session: Session) -> None:
        """Waits for the program's end, or for a reason to end it; raises what was wrong with it."""
        begin = time.monotonic()
        for look in itertools.count():
            status = process.wait(LOOK)
            # what its calls met comes first: it explains the rest
            if session.failure is not None:
                return
            over = session.oracle.over or session.spent is not None
            if status is not None:
                if status == 0 or over:  # a package need not take a refusal well
                    return
                raise session.refusal or self._error(f"{process.how(status)}: {process.last_words()}")
            if session.oracle.budget.left("seconds") <= 0:
                raise BudgetSpent("seconds")
            quiet = time.monotonic() - max(begin, session.last) if session.idle else 0.0
            if over and (quiet > GRACE or session.refused >= PERSISTENT):
                return
            if quiet > self.patience:
                raise self._error(f"asked for nothing for {self.patience:g} seconds: {process.last_words()}")
            if look % MEMORY == 0 and (used := process.memory()) > self.memory * 1e9:
                raise self._error(f"took {used / 1e9:.1f} GB of memory, over the {self.memory:g} it has")

    def _error(self, what: str) -> OptoGymError:
        return OptoGymError(f"{type(self).__name__} {what}")
