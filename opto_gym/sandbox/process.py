"""The trusted side's handle on the process that runs a candidate's code."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import OptoGymError, SandboxError, SandboxKilled
from .channel import Deadline, ProcessEnded, process_died, protocol_violation, receive, send
from .inside.protocol import KILLED, RUNS, plain
from .results import CandidateError, Limits, Result, candidate_error
from .zygote import START_TIMEOUT, Zygote

_CREDENTIALS = struct.Struct("3i")  # <sys/socket.h>'s ucred: pid, uid, gid
_START_ATTEMPTS = 3
_SCHEDULED = 2
"""Linux's CPUCLOCK_SCHED: with the complement of a process's id, the number of the clock of its processor time."""
_DYING = 1.0
"""Seconds between the moment when a dying process closes its channel and its end, at most."""
_OF_ITSELF = {
    getattr(signal, f"SIG{name}", None)
    for name in ("SEGV", "BUS", "ILL", "FPE", "TRAP", "ABRT", "SYS", "ALRM", "VTALRM", "PROF", "XCPU", "XFSZ", "PIPE")
}
"""The signals that a process can cause by itself where it may send none: crashes, its own timers, limits."""

_look: contextvars.ContextVar[Callable[[], None]] = contextvars.ContextVar("look", default=lambda: None)


@contextlib.contextmanager
def interrupted_by(look: Callable[[], None]) -> Iterator[None]:
    """Calls a function several times a second while a candidate's call in the block runs, in this thread.

    Args:
        look: What it raises ends the process, and is raised by `CandidateProcess.call`.
    """
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)


class CandidateProcess:
    """The process of one example. Its namespaces, and what the code keeps in them, last as long as it does.

    `Sandbox.load` makes it. It must be used by one thread at a time.

    Args:
        sources: Python source by the name of the function that it defines.
        host: Functions of this process that the code may call.
        limits: What the code may use.
        get_zygote: Returns a running zygote; it replaces the zygote that it is given, if any, which does not answer.

    Attributes:
        missing: The names of limits and attributes of level L0 that the machine does not grant; known once started.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        host: Mapping[str, Callable[..., Any]],
        limits: Limits,
        get_zygote: Callable[[Zygote | None], Zygote],
    ) -> None:
        self._sources, self._host, self._limits, self._get_zygote = sources, host, limits, get_zygote
        self._calls, self._host_calls, self._host_seconds = 0, 0, 0.0
        self._wall = 0.0  # seconds of all calls
        self._number, self._pid, self._clock = 0, 0, 0
        self.missing: list[str] = []
        self._final_error: CandidateError | None = None
        self._zygote = get_zygote(None)
        with contextlib.suppress(OSError):  # `wait_until_ready` tries again
            self._start()

    def _start(self) -> None:
        """Has the process forked. It restricts itself while the caller goes on; `wait_until_ready` waits for it."""
        first = {
            "sources": self._sources,
            "hosts": list(self._host),
            "output": self._limits.output,
            "limits": {"memory": self._limits.memory, "cpu": self._limits.cpu},
        }
        self._number, self._channel = self._zygote.spawn()
        send(self._channel, first, Deadline(START_TIMEOUT))

    def wait_until_ready(self) -> None:
        """Waits for the process to restrict itself; starts it again where the zygote has died or does not answer.

        Once it has, this does nothing.

        Raises:
            SandboxError: If it can't restrict itself.
            SandboxKilled: If no process can be started. None of the code has run.
        """
        if self._pid:
            return
        for attempt in range(1, _START_ATTEMPTS + 1):  # the zygote that takes the place of a dead one may die, too
            try:
                if not self._number:
                    self._start()
                deadline = Deadline(START_TIMEOUT)
                self._channel.settimeout(START_TIMEOUT)
                pid = self._sender_pid()
                greeting = receive(self._channel, deadline, 1000)
            except (ProcessEnded, OSError) as e:
                self._release()
                if attempt == _START_ATTEMPTS:
                    raise SandboxKilled(f"no process can be started for a candidate's code: {e}") from e
                broken = self._zygote if isinstance(e, TimeoutError) or self._zygote.dies_within(0.1) else None
                self._zygote = self._get_zygote(broken)
                continue
            if "failed" in greeting:
                self._release()
                raise SandboxError(
                    f"a candidate's process can't be locked in, so it does not run: {greeting['failed']}"
                )
            self._pid, self.missing = pid or greeting["pid"], greeting["missing"]
            if pid:
                self._clock = ~pid << 3 | _SCHEDULED
            return

    def _sender_pid(self) -> int:
        """The id, in this process's namespace, of the process that sent the next bytes; 0 where it is not known."""
        if sys.platform != "linux":
            return 0
        _, ancillary, _, _ = self._channel.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_PEEK)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        return int(_CREDENTIALS.unpack(ancillary[0][2])[0]) if ancillary else 0

    def _used_seconds(self) -> float:
        """The processor time that the process has used, in seconds. Raises OSError if it is gone."""
        return time.clock_gettime(self._clock)

    def __enter__(self) -> CandidateProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def call(self, name: str, args: list[Any]) -> Result:
        """Calls the function `name` of the source loaded under that name. What the candidate does never raises here.

        Args:
            name: One of the names given to `Sandbox.load`.
            args: Plain data: None, numbers, text, lists, dicts with text keys; tuples and arrays arrive as lists.

        Returns:
            The value or the error. After an error that ends the process, all later calls return the same error.

        Raises:
            KeyError: If no source has that name.
            TypeError: If the arguments are not plain data.
            OptoGymError, BudgetSpent: What a host function raised.
            SandboxKilled: If neither the code nor a limit has ended the process, or none can be started.
        """
        if name not in self._sources:
            raise KeyError(f"expected one of {sorted(self._sources)}, got {name!r}")
        if self._final_error is not None:
            return Result(None, self._final_error, 0.0)
        if self._zygote.owner != os.getpid():
            raise SandboxError(
                "a candidate's process can be used only by the process that loaded it: load one after the fork"
            )
        args = plain(list(args), f"the arguments of {name}")
        if not self._pid:
            self.wait_until_ready()
        begin, self._host_seconds = time.monotonic(), 0.0
        try:
            answer = self._first_answer(name, args)
            value, error = answer.get("value"), None
            if "error" in answer:
                error = candidate_error(answer, self._sources[name])
        except ProcessEnded as e:
            if e.is_dead and self._killed_from_outside():
                self.close()
                raise SandboxKilled(
                    "neither the code nor a limit ended a candidate's process: the machine killed it, which it does"
                    " when memory runs out. The trial can be resumed"
                ) from None
            value, error, self._final_error = None, e.error, e.error
            self.close()
        except BaseException:
            self.close()
            raise
        seconds = time.monotonic() - begin - self._host_seconds
        self._wall += seconds
        return Result(value, error, seconds)

    def _first_answer(self, name: str, args: list[Any]) -> dict[str, Any]:
        """The answer to a call; a first call is made again in a new process if the zygote died with all of its own."""
        try:
            return self._exchange(name, args)
        except ProcessEnded as e:
            if not e.is_dead or self._calls > 1 or self._host_calls or self._zygote.alive():
                raise  # the process may have kept state, which a new one would lack; or the candidate ended it
        self._release()
        self._zygote = self._get_zygote(self._zygote)
        self.wait_until_ready()
        return self._exchange(name, args)

    def _killed_from_outside(self) -> bool:
        """Whether something else than the code and the limits has ended the process, as far as that can be told.

        Within the walls a process can't send signals, so that SIGKILL comes from outside, unless its limit on processor
        time is over. A process that has closed its channel but goes on is not dead.
        """
        end = time.monotonic() + _DYING
        try:
            while (ended := self._zygote.how_ended(self._number))[0] == RUNS and time.monotonic() < end:
                time.sleep(0.002)
            how, status = ended
            return how == KILLED and status not in _OF_ITSELF and not self._over_cpu_limit(status)
        except OSError:  # the zygote is dead, and its processes with it
            return True

    def _over_cpu_limit(self, signal_number: int) -> bool:
        return signal_number == signal.SIGKILL and bool(self._clock) and self._used_seconds() >= self._limits.cpu

    def _exchange(self, name: str, args: list[Any]) -> dict[str, Any]:
        """Sends one call, serves its calls of host functions, and returns the message that answers it."""
        self._calls += 1
        self._expect_silence()
        try:
            deadline, limit = self._deadline()
            send(self._channel, {"call": name, "args": args, "n": self._calls}, deadline)
            while "host" in (answer := receive(self._channel, deadline, self._limits.output)):
                begin = time.monotonic()
                reply = self._call_host(answer)
                host_seconds = time.monotonic() - begin
                self._host_seconds += host_seconds
                deadline.extend(host_seconds)
                send(self._channel, reply, deadline)
        except TimeoutError:
            raise ProcessEnded("TimeLimit", f"stopped: time limit {limit}") from None
        except OSError:
            raise process_died() from None
        if answer.get("n") != self._calls or ("error" in answer) == ("value" in answer):
            raise protocol_violation()
        return answer

    def _deadline(self) -> tuple[Deadline, str]:
        """The deadline of a call, and the limit that it goes by in words."""
        limits, processor = self._limits, self._used_seconds() if self._clock else self._wall
        call = limits.seconds, limits.seconds * limits.wall
        example = limits.example - processor, limits.example * limits.wall - self._wall
        of_example = example[0] < call[0] or example[1] < call[1]
        deadline = Deadline(
            min(call[0], example[0]),
            min(call[1], example[1]),
            used=self._used_seconds if self._clock else None,
            look=_look.get(),
        )
        return deadline, f"{float(limits.example)} s of one example" if of_example else f"{float(limits.seconds)} s"

    def _expect_silence(self) -> None:
        """Checks that the process sent nothing since its last answer."""
        self._channel.settimeout(0)
        try:
            unread = self._channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            raise process_died() from None
        raise protocol_violation() if unread else process_died()

    def _call_host(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runs a host function for the candidate and returns the reply to it."""
        self._host_calls += 1
        function, args = self._host.get(str(request["host"])), request.get("args")
        if function is None or not isinstance(args, list):
            raise protocol_violation()
        if self._host_calls > self._limits.host_calls:
            return {"error": f"stopped: more than {self._limits.host_calls} calls of the host's functions"}
        signature = inspect.signature(function)
        try:
            signature.bind(*args)
        except TypeError:
            expected = ", ".join(signature.parameters)
            return {"error": f"{request['host']}: expected arguments ({expected}), got {len(args)}"}
        try:
            value = function(*args)
        except OptoGymError:
            raise
        except Exception as e:
            return {"error": f"{type(e).__name__}: {e}"[:500]}
        return {"value": plain(value, f"what {request['host']} returned")}

    def close(self) -> None:
        """Kills the process and all processes that it started."""
        if self._final_error is None:
            self._final_error = CandidateError("ProcessDied", "the program is closed")
        self._release()

    def _release(self) -> None:
        """Kills the process, if it runs, and closes the descriptors."""
        if self._number:
            self._zygote.kill(self._number, self._pid)
            self._channel.close()
            self._number = self._pid = 0
        self._clock = 0
