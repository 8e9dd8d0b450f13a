"""An optimizer in a process of its own, with a HOME of its own, which asks its model and its oracle over HTTP.

The process gets a token for one trial and nothing else: the model's key, the record and the test examples stay here.
What it does wrong, a crash, a hang, too much memory, is the trial's failure; what it had found by then is kept.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from ...errors import BudgetSpent, EndpointError, OptoGymError
from ...extras import need
from ...llm import REFUSALS
from ...problems import Problem
from ..base import Agent, Oracle, Values, number_in

if TYPE_CHECKING:
    from .server import Session

GRACE = 10.0
"""Seconds that a program has for its end after the budget's, if it asks for nothing that can still be had."""
PERSISTENT = 20
"""Calls over the budget after which a program is taken for one that will never stop."""
LOOK = 0.1
"""Seconds between two looks at the process."""
TAIL = 2_000
"""Characters of its last output that an error shows."""


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
        single: Whether it works on one parameter alone.
    """

    needs: ClassVar[tuple[str, ...]] = ("starlette", "uvicorn", "psutil")
    kinds: ClassVar[Mapping[str, str]] = {}
    single: ClassVar[bool] = False

    def __init__(
        self, *, model: str | None = None, base_url: str | None = None, memory: float = 8.0, patience: float = 300.0
    ) -> None:
        super().__init__(model=model, base_url=base_url)
        number_in("(0, inf)", memory=memory, patience=patience)
        self.memory, self.patience = memory, patience
        self.settings: dict[str, Any] = {}
        self._session: Session | None = None

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
        """Why the program can't work on the problem's kinds of parameters, or None."""
        kinds = {p.name: type(p.space).__name__ for p in problem.parameters}
        refused = [f"{name} ({kind})" for name, kind in kinds.items() if kind not in cls.kinds]
        if refused:
            return f"{cls.__name__} takes parameters of kind {', '.join(cls.kinds)}, not {', '.join(refused)}"
        if cls.single and len(kinds) > 1:
            return f"{cls.__name__} takes one parameter, not {len(kinds)}"
        return None

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
            ) as session,
            tempfile.TemporaryDirectory(prefix="opto-gym-", ignore_cleanup_errors=True) as home,
            (Path(home) / "output.txt").open("w+b") as output,
        ):
            self._session = session
            process = subprocess.Popen(
                self.command(),
                cwd=home,
                env=self._environment(session, home),
                stdin=subprocess.PIPE,  # at whose end the program knows that we are gone
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            try:
                self._watch(process, session, output)
            finally:
                _end(process)

    def _environment(self, session: Session, home: str) -> dict[str, str]:
        """The process's whole environment. What could make two runs differ is set."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE") if name in os.environ}
        return kept | {
            "HOME": home,
            "TMPDIR": home,
            "XDG_CACHE_HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_CONFIG_HOME": home,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            "NO_PROXY": "127.0.0.1",
            "OPTO_GYM_URL": session.base_url,
            "OPTO_GYM_TOKEN": session.token,
            "OPENAI_BASE_URL": session.base_url,
            "OPENAI_API_KEY": session.token,
        }

    def _watch(self, process: subprocess.Popen[bytes], session: Session, output: IO[bytes]) -> None:
        """Waits for the process's end, or sees to it; raises what ended the trial, if that was not its own will."""
        begin = time.monotonic()
        while True:
            try:
                status: int | None = process.wait(LOOK)
            except subprocess.TimeoutExpired:
                status = None
            failure = session.failure
            over = session.oracle.over or session.spent is not None
            if failure is not None and (status or not _may_ask_otherwise(failure)):
                raise failure
            if status == 0 or (status and over):  # a package need not take a refusal well
                break
            if status is not None:
                raise OptoGymError(f"{self._name} ended with status {status}: {_tail(output)}")
            quiet = time.monotonic() - max(begin, session.last) if session.idle else 0.0
            if session.oracle.budget.left("seconds") <= 0:
                raise BudgetSpent("seconds")
            if over and (quiet > GRACE or session.refused >= PERSISTENT or _stopped(session)):
                break
            if quiet > self.patience:
                raise OptoGymError(f"{self._name} asked for nothing for {self.patience:g} seconds: {_tail(output)}")
            if (used := _memory(process.pid)) > self.memory * 1e9:
                raise OptoGymError(f"{self._name} took {used / 1e9:.1f} GB of memory, over the {self.memory:g} it has")
        if session.spent is not None:
            raise session.spent

    @property
    def _name(self) -> str:
        return type(self).__name__


def _may_ask_otherwise(failure: Exception) -> bool:
    """Whether the endpoint found the request wrong, which a package may mend: without its JSON mode, say."""
    return isinstance(failure, EndpointError) and failure.status in REFUSALS


def _stopped(session: Session) -> bool:
    return session.spent is not None and session.spent.limit == "stopped"


def _memory(pid: int) -> int:
    """Bytes that a process and its descendants hold."""
    psutil = need("psutil")
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:  # ended meanwhile
        pass
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its descendants, those included that have left its group."""
    psutil = need("psutil")
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            pass
    process.wait()
    if process.stdin:
        process.stdin.close()


def _tail(output: IO[bytes]) -> str:
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - TAIL))
    return output.read().decode("utf-8", "replace").strip() or "it said nothing"
