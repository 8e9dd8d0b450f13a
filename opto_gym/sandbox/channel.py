"""The trusted end of a channel to a candidate's process: length-framed JSON, and checks of all that arrives."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from .inside.protocol import DEPTH, LENGTH, OVERHEAD
from .results import CandidateError

CONTAINERS = 50_000
"""Lists and dicts in one message. Each is handled by itself, unlike the scalars in it, which costs this side time."""


class ProcessEnded(Exception):
    """The candidate's process has ended, or has to be killed.

    Attributes:
        error: The error that the candidate's call returns.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.error = CandidateError(kind, message)


def process_died() -> ProcessEnded:
    """The exception for a process that has ended by itself."""
    return ProcessEnded(
        "ProcessDied", "the code ended its process, crashed it, or asked the system for something forbidden"
    )


def protocol_violation() -> ProcessEnded:
    """The exception for a process that sends what the protocol does not allow."""
    return ProcessEnded("ProcessDied", "the code sent something that was not asked for")


class Deadline:
    """The time by which the other side must have answered.

    Args:
        seconds: From now on.
        queued_seconds: Returns how long the process has waited for a processor since its start, in seconds. Up to
            `MAX_QUEUED` of that time is added to the deadline, so that a machine under load does not change scores.
    """

    MAX_QUEUED = 1.5

    def __init__(self, seconds: float, queued_seconds: Callable[[], float] = lambda: 0.0) -> None:
        self._queued_seconds, self._queued_before = queued_seconds, queued_seconds()
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds until the deadline, at most 0 if it has passed."""
        left = self._end - time.monotonic()
        return left if left > 0 else left + min(self._queued_seconds() - self._queued_before, self.MAX_QUEUED)

    def extend(self, seconds: float) -> None:
        """Moves the deadline by time that this side has used."""
        self._end += seconds


def send(channel: socket.socket, message: dict[str, Any], deadline: Deadline) -> None:
    """Sends one message of plain data.

    Raises:
        TimeoutError: If it can't be sent in time.
        OSError: If the process is gone.
    """
    body = json.dumps(message).encode()
    channel.settimeout(max(deadline.left(), 0.001))
    channel.sendall(LENGTH.pack(len(body)) + body)


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
        left = deadline.left()
        if left <= 0:
            if late:
                raise TimeoutError
            late = True
        channel.settimeout(max(left, 0.001))
        chunk = channel.recv(min(n - len(data), 1 << 20))
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
