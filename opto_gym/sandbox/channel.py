"""The trusted end of a channel: length-framed JSON, and nothing believed that comes in."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

from .inside.protocol import DEPTH, LENGTH, ROOM
from .results import CandidateError


class Ended(Exception):
    """The candidate's process is to be taken for dead."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.error = CandidateError(kind, message)


def died() -> Ended:
    """The process is gone."""
    return Ended("ProcessDied", "the code ended its process, crashed it, or asked the system for something forbidden")


def unasked() -> Ended:
    """The process does not keep to the protocol."""
    return Ended("ProcessDied", "the code sent something that was not asked for")


class Deadline:
    """When the other side must be done.

    Args:
        seconds: From now on.
        waited: How long, in seconds, the process has waited for a processor since it began. That time is the
            machine's and not the candidate's; up to `GRACE` of it is given back, so that a machine under load does
            not change scores.
    """

    GRACE = 1.5

    def __init__(self, seconds: float, waited: Callable[[], float] = lambda: 0.0) -> None:
        self._waited, self._before = waited, waited()
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that are left; not above 0 where none are."""
        left = self._end - time.monotonic()
        return left if left > 0 else left + min(self._waited() - self._before, self.GRACE)

    def put_off(self, seconds: float) -> None:
        """Moves it: the time was this side's."""
        self._end += seconds


def send(channel: socket.socket, message: dict[str, Any], deadline: Deadline) -> None:
    """Sends one message of plain data; raises OSError, TimeoutError."""
    body = json.dumps(message).encode()
    channel.settimeout(max(deadline.left(), 0.001))
    channel.sendall(LENGTH.pack(len(body)) + body)


def receive(channel: socket.socket, deadline: Deadline, most: int) -> dict[str, Any]:
    """One message of an untrusted process, bounded in time, size and depth.

    Raises:
        Ended: If the process is gone, or the message is too large or can't be read.
        TimeoutError: If the message is not complete in time.
    """
    size = LENGTH.unpack(_exactly(channel, LENGTH.size, deadline))[0]
    if size > most + ROOM:
        raise Ended("OutputLimit", f"stopped: the answer is over {most} bytes")
    body = _exactly(channel, size, deadline)
    try:
        message: Any = json.loads(body.decode("ascii"), object_pairs_hook=_once)
        if not isinstance(message, dict) or not _shallow(message, 0):
            raise ValueError
        if b"\\ud" in body.lower():  # half a surrogate pair could not be written to any record
            message = json.loads(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Ended("OutputLimit", "stopped: the answer can't be read") from None
    return dict(message)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _exactly(channel: socket.socket, n: int, deadline: Deadline) -> bytes:
    data, late = bytearray(), False
    while len(data) < n:
        left = deadline.left()
        if left <= 0:  # one last look: what has arrived counts, however late this side comes to read it
            if late:
                raise TimeoutError
            late = True
        channel.settimeout(max(left, 0.001))
        chunk = channel.recv(min(n - len(data), 1 << 20))
        if not chunk:
            raise died()
        data += chunk
    return bytes(data)


def _shallow(x: Any, depth: int) -> bool:
    if depth > DEPTH + 2:  # the message itself, and the list or dict that holds the last value
        return False
    if isinstance(x, list):
        return all(_shallow(i, depth + 1) for i in x if isinstance(i, list | dict))
    if isinstance(x, dict):
        return all(_shallow(i, depth + 1) for i in x.values() if isinstance(i, list | dict))
    return True
