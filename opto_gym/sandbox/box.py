"""The sandbox: the levels of protection, and the processes that run candidates' code.

The supervisor (this process, which holds keys, results and test examples) starts a zygote (a clean interpreter with an
empty environment), from which one process per example is forked. The channel to such a process is a socketpair of its
own; both sides exchange JSON only.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import SandboxError, SandboxKilled
from .inside import kernel
from .inside.protocol import LEVELS
from .process import CandidateProcess
from .results import Limits, Result
from .zygote import Zygote

START_ATTEMPTS = 3
"""How often the zygote is started before it is the machine's fault that it ends at its start."""

DEFAULT_LEVEL = "L2"
"""The least level at which a model's code runs unless the user says otherwise."""

_GIVEN_UP = {  # what a sandbox below the level does not prevent
    "L3": "a candidate may learn which paths exist and how large they are",
    "L2": "a candidate may read every file that its user can read: keys, results, test examples",
    "L1": "a candidate may also change files, open sockets, and start and signal processes",
}


class Sandbox:
    """Runs candidates' code, each example in a process of its own. Safe to use from several threads, and after a fork.

    This process is made undumpable, so that no other process of the same user can read its memory.

    Args:
        limits: What a candidate may use; None for the defaults of `Limits`.
        level: The least level to accept, ``"L0"`` to ``"L3"``; None for L2. The best that this machine grants is in
            force.
        most: The highest level to use, for measurements and tests.
        host: Functions of this process that candidates may call by name, with plain data given by position. Their time
            does not count. What they raise is a RuntimeError in the candidate, except that an OptoGymError or
            BudgetSpent ends the candidate's process and is raised by `CandidateProcess.call`.

    Raises:
        SandboxError: If there is no such level, or this system has no ``fork()``.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        level: str | None = None,
        most: str = LEVELS[-1],
        host: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        for name in (level or DEFAULT_LEVEL, most):
            if name not in LEVELS:
                raise SandboxError(f"expected a sandbox level of {list(LEVELS)}, got {name!r}")
        if not hasattr(os, "fork"):
            raise SandboxError("code parameters need a system with fork(): Linux, macOS, or WSL on Windows")
        self.limits, self.host, self._most = limits or Limits(), dict(host or {}), most
        self.least = level or DEFAULT_LEVEL
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        self._lock, self._describing, self._closed = threading.Lock(), threading.Lock(), False
        self._zygote: Zygote | None = None
        self._in_force: tuple[Zygote, dict[str, Any]] | None = None
        _sandboxes.add(self)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def load(
        self, sources: Mapping[str, str], *, host: Mapping[str, Callable[..., Any]] | None = None
    ) -> CandidateProcess:
        """Starts a process for one example.

        Args:
            sources: Python source by the name of the function that it defines. Each has a separate namespace. A source
                that does not compile gives errors as the `Result` of its calls.
            host: Functions for this process alone, in addition to the sandbox's own.

        Raises:
            SandboxError: If this machine does not grant the level asked for.
        """
        self.check()
        return CandidateProcess(dict(sources), {**self.host, **(host or {})}, self.limits, self._get_zygote)

    @property
    def level(self) -> str:
        """The level that is in force."""
        return str(self._get_zygote(None).report["level"])

    def check(self) -> None:
        """Checks that this machine grants the level asked for.

        Raises:
            SandboxError: If it does not; the message says how to go on.
        """
        report = self._get_zygote(None).report
        level = str(report["level"])
        if level < self.least:
            given_up = "; ".join(_GIVEN_UP[name] for name in LEVELS if level < name <= self.least)
            raise SandboxError(
                f"expected a sandbox of level {self.least} or better for code parameters, this machine grants {level}"
                f" ({'; '.join(report['missing']) or f'no more than {self._most} was asked for'})."
                f" `opto-gym doctor` says what to install or allow. To run with less: --sandbox {level},"
                f" OPTO_GYM_SANDBOX={level} or Sandbox(level={level!r}), which gives up that much: {given_up}"
            )

    def call(self, source: str, name: str, args: list[Any]) -> Result:
        """Calls the function `name` of a source once, in a process of its own; see `CandidateProcess.call`."""
        with self.load({name: source}) as process:
            return process.call(name, args)

    def in_force(self) -> dict[str, Any]:
        """What protects this machine from candidates' code, as plain data for a trial's record.

        The first time, and after a new start of what makes the candidates' processes, it starts a process to see.

        Returns:
            ``level`` in force and ``least`` asked for, ``landlock_abi``, ``seccomp``, ``namespaces``, ``uid_dropped``,
            ``platform``, ``missing``: what this machine does not grant, and why; ``times``: the limits on time in
            seconds, see `Limits.times`.

        Raises:
            SandboxKilled: If no process can be started, unless what is in force is known from one before.
        """
        known = self._in_force
        if known is not None and known[0] is self._zygote:
            return known[1]
        with self._describing:  # trials that begin side by side all ask at once
            return self._describe()

    def _describe(self) -> dict[str, Any]:
        known = self._in_force
        try:
            if known is not None and known[0] is self._get_zygote(None):
                return known[1]
            with CandidateProcess({}, {}, self.limits, self._get_zygote) as process:
                process.wait_until_ready()
                zygote = self._get_zygote(None)
        except SandboxKilled:
            if known is None:
                raise
            return known[1]
        report = zygote.report | {
            "least": self.least,
            "missing": zygote.report["missing"] + process.missing,
            "platform": sys.platform,
            "times": self.limits.times(),
        }
        self._in_force = zygote, report
        return report

    def close(self) -> None:
        """Ends the zygote, and with it all of its processes."""
        with self._lock:
            self._closed = True
            self._drop_zygote()

    def _get_zygote(self, broken: Zygote | None) -> Zygote:
        """The running zygote; starts one where there is none, where it is dead, or where it is `broken`."""
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed; make a new one")
            if self._zygote is not None and (self._zygote is broken or not self._zygote.alive()):
                self._drop_zygote()
            for attempt in range(1, START_ATTEMPTS + 1):
                try:
                    self._zygote = self._zygote or Zygote(self._most)
                except SandboxKilled:
                    if attempt == START_ATTEMPTS:
                        raise
            assert self._zygote is not None
            return self._zygote

    def _drop_zygote(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _after_fork(self) -> None:
        """Drops the parent's zygote in a forked process, where another thread of the parent may have held a lock."""
        self._lock, self._describing = threading.Lock(), threading.Lock()
        self._drop_zygote()


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _after_fork() -> None:
    for sandbox in list(_sandboxes):
        sandbox._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def shared() -> Sandbox:
    """The default sandbox of this process, closed at its end; a forked process gets a zygote of its own.

    The environment variable ``OPTO_GYM_SANDBOX`` is the least level that it accepts.
    """
    return _shared(os.environ.get("OPTO_GYM_SANDBOX") or None)


@functools.cache
def _shared(level: str | None) -> Sandbox:
    sandbox = Sandbox(level=level)
    atexit.register(sandbox.close)
    return sandbox


def start_ahead() -> None:
    """Starts the default sandbox in a thread, so that a run which is planned meanwhile need not wait for it.

    What fails is told where the sandbox is used.
    """

    def start() -> None:
        with contextlib.suppress(SandboxError):
            shared().in_force()

    threading.Thread(target=start, name="opto-gym-sandbox", daemon=True).start()
