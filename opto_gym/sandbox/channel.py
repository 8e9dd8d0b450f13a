"""The trusted end of a channel to a candidate's process: length-framed JSON, and checks of all that arrives."""

from __future__ import annotations

import functools
import itertools
import json
import math
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..utils.bounded_json import excess
from .inside.protocol import DEPTH, LENGTH, OVERHEAD
from .results import CandidateError

T = TypeVar("T")

CONTAINERS = 50_000
"""Lists and dicts in one message. Each is handled by itself, unlike the scalars in it, which costs this side time."""


class ProcessEnded(Exception):
    """The candidate's process has ended, or has to be killed.

    Attributes:
        error: The error that the candidate's call returns.
        is_dead: Whether the process has ended, so that it has to be found out who ended it.
    """

    def __init__(self, kind: str, message: str, *, is_dead: bool = False) -> None:
        super().__init__(f"{kind}: {message}")
        self.error, self.is_dead = CandidateError(kind, message), is_dead


def process_died() -> ProcessEnded:
    """The exception for a process that has closed its channel; the message supposes that it has ended by itself."""
    message = "the code ended its process, crashed it, or asked the system for something forbidden"
    return ProcessEnded("ProcessDied", message, is_dead=True)


def protocol_violation() -> ProcessEnded:
    """The exception for a process that sends what the protocol does not allow."""
    return ProcessEnded("ProcessDied", "the code sent something that was not asked for")


class Deadline:
    """The time by which the other side must have answered.

    Args:
        seconds: Processor time that the other side may use from now on; wall time where `used` is None.
        wall: Wall time from now on where `used` is given, in seconds.
        used: Returns how much processor time the other side has used, in seconds.
        look: Called every `LOOKING` seconds while this side waits. What it raises ends the waiting.
    """

    LOOKING = 0.2

    def __init__(
        self,
        seconds: float,
        wall: float = math.inf,
        *,
        used: Callable[[], float] | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        now = time.monotonic()
        self.look, self._used = look, used
        self._most_used = used() + seconds if used else math.inf
        self._wall_end = now + (wall if used else seconds)
        self._next = now + min(seconds, wall)  # nothing is over before that

    def left(self) -> float:
        """The seconds for which the other side can certainly go on; at most 0 if its time is over."""
        now = time.monotonic()
        if now >= self._next:
            wall = self._wall_end - now
            self._next = now + (min(wall, self._most_used - self._used()) if self._used else wall)
        return self._next - now

    def extend(self, seconds: float) -> None:
        """Moves the end of the wall time by time that this side has used."""
        self._wall_end += seconds


def send(channel: socket.socket, message: dict[str, Any], deadline: Deadline) -> None:
    """Sends one message of plain data.

    Raises:
        TimeoutError: If it can't be sent in time.
        OSError: If the process is gone.
    """
    body = json.dumps(message).encode()
    unsent = memoryview(LENGTH.pack(len(body)) + body)
    while unsent:
        unsent = unsent[_in_time(channel, deadline, functools.partial(channel.send, unsent)) :]


def _in_time(channel: socket.socket, deadline: Deadline, operation: Callable[[], T]) -> T:
    """What an operation on the channel returns, which may wait until the deadline. Raises TimeoutError after it."""
    while True:
        left = deadline.left()
        channel.settimeout(min(max(left, 0.001), deadline.LOOKING))
        try:
            return operation()
        except TimeoutError:
            if left <= 0:
                raise
        deadline.look()


def receive(channel: socket.socket, deadline: Deadline, most: int) -> dict[str, Any]:
    """Receives one message of an untrusted process, bounded in time, size and depth.

    Args:
        channel: The channel.
        deadline: When the message must be complete.
        most: The most bytes of the value in the message.

    Raises:
        ProcessEnded: If the process is gone, or the message is too large, holds too many containers or can't be read.
        TimeoutError: If the message is not complete in time.
    """
    size = LENGTH.unpack(_exactly(channel, LENGTH.size, deadline))[0]
    if size > most + OVERHEAD:
        raise ProcessEnded("OutputLimit", f"stopped: the answer is over {most} bytes")
    body = _exactly(channel, size, deadline)
    try:
        if excess(body):
            raise ValueError
        message: Any = json.loads(body.decode("ascii"), object_pairs_hook=_unique_keys)
        if not isinstance(message, dict):
            raise ValueError
        _check_shape(message)
        if b"\\ud" in body.lower():  # a lone surrogate can't be written to a record
            message = json.loads(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise ProcessEnded("OutputLimit", "stopped: the answer can't be read") from None
    return dict(message)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _exactly(channel: socket.socket, n: int, deadline: Deadline) -> bytes:
    """Receives n bytes. What has arrived by the deadline counts, even if it is read later."""
    data, late = bytearray(), False
    while len(data) < n:
        if late:
            raise TimeoutError
        late = deadline.left() <= 0
        chunk = _in_time(channel, deadline, functools.partial(channel.recv, min(n - len(data), 1 << 20)))
        if not chunk:
            raise process_died()
        data += chunk
    return bytes(data)


def _check_shape(message: dict[str, Any]) -> None:
    """Checks the depth of a message and the number of containers in it, level by level.

    Raises:
        ProcessEnded: If it holds more than `CONTAINERS` lists and dicts.
        ValueError: If it is nested too deep.
    """
    level: list[Any] = [message]
    count = 0
    for _ in range(DEPTH + 3):  # two levels for the message itself and the list or dict around the deepest value
        inside = itertools.chain.from_iterable(x.values() if type(x) is dict else x for x in level)
        level = [x for x in inside if type(x) is list or type(x) is dict]
        count += len(level)
        if count > CONTAINERS:
            raise ProcessEnded("OutputLimit", f"stopped: the answer holds over {CONTAINERS} lists and dictionaries")
        if not level:
            return
    raise ValueError
