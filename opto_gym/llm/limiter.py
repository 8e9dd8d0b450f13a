"""How many requests to an endpoint are under way at a time.

The number adapts, as in Inspect AI: it begins at 20, grows while answers come, and halves when the endpoint says that
there are too many requests or gives no answer in time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

from ..utils.checks import at_least

START, MOST = 20, 100
"""The requests at a time at the beginning, and at most."""

_CHECK = 0.2  # seconds


class Limiter:
    """Admits so many requests at a time. Thread-safe.

    Args:
        fixed: The number of requests at a time, which then does not adapt; None for one that does.
        start: The number at the beginning, where it adapts.

    Attributes:
        limit: The number of requests at a time.
    """

    def __init__(self, fixed: int | None = None, *, start: int = START) -> None:
        at_least(1, concurrency=start if fixed is None else fixed)
        self._fixed = fixed is not None
        self.limit = fixed if fixed is not None else start
        self.most = fixed if fixed is not None else max(start, MOST)
        self._in_flight, self._answers = 0, 0
        self._lowered, self._was_lowered = 0.0, False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def request(self, check: Callable[[], None] = lambda: None) -> Iterator[Ticket]:
        """Waits until a request may be sent. The block sends it, and sets `Ticket.is_too_many` where that is so.

        Args:
            check: Called now and then while it waits; what it raises ends the waiting.
        """
        with self._changed:
            while self._in_flight >= self.limit:
                self._changed.wait(_CHECK)
                check()
            self._in_flight += 1
        ticket = Ticket(time.monotonic())
        try:
            yield ticket
        finally:
            with self._changed:
                busy = self._in_flight >= self.limit
                self._in_flight -= 1
                if not self._fixed:
                    self._adapt(ticket, busy)
                self._changed.notify_all()

    def _adapt(self, ticket: Ticket, busy: bool) -> None:
        """Changes the limit by how a request ended; `busy` says whether all that were allowed were under way."""
        if ticket.is_too_many:
            if ticket.sent >= self._lowered:  # else it was sent under the higher limit, for which one halving is enough
                self.limit, self._lowered, self._was_lowered = max(1, self.limit // 2), time.monotonic(), True
            self._answers = 0
        elif busy:
            self._answers += 1
            # doubles with each round until the first refusal, then goes up by one with each round
            if self.limit < self.most and (not self._was_lowered or self._answers >= self.limit):
                self.limit, self._answers = self.limit + 1, 0


@dataclasses.dataclass(slots=True)
class Ticket:
    """One admitted request.

    Attributes:
        sent: When it was sent, by the monotonic clock.
        is_too_many: Whether the endpoint refused it for the number of requests, or let it wait for too long.
    """

    sent: float
    is_too_many: bool = False


class _Limiters:
    """The limiters of all endpoints, by the endpoint's name."""

    def __init__(self) -> None:
        self.lock, self.by_endpoint = threading.Lock(), dict[str, Limiter]()
        self.fixed: int | None = None
        self.start = START


_limiters = _Limiters()


def limiter_of(endpoint: str) -> Limiter:
    """The limiter that all clients of an endpoint in this process share.

    The embedded model gets one call at a time, and so does a Python function where no other number is set, since it
    may not be safe to use from several threads.
    """
    with _limiters.lock:
        if endpoint not in _limiters.by_endpoint:
            fixed = 1 if endpoint == "local" else _limiters.fixed
            if endpoint == "python" and fixed is None:
                fixed = 1
            _limiters.by_endpoint[endpoint] = Limiter(fixed, start=_limiters.start)
        return _limiters.by_endpoint[endpoint]


def set_concurrency(fixed: int | None = None, *, start: int = START) -> None:
    """Sets how many requests each endpoint gets at a time from now on.

    Args:
        fixed: The number; None adapts it.
        start: The number to begin with where it adapts.

    Raises:
        ValueError: If a number is less than 1.
    """
    Limiter(fixed, start=start)  # raises now
    with _limiters.lock:
        _limiters.fixed, _limiters.start = fixed, start
        _limiters.by_endpoint.clear()


@contextlib.contextmanager
def concurrency_of_run(fixed: int | None, jobs: int) -> Iterator[None]:
    """Sets how many requests each endpoint gets at a time during a run, and then what was set before again.

    Args:
        fixed: The number; None leaves what is set, but lets at least as many requests begin as trials run at a time.
        jobs: Number of trials that run at a time.
    """
    before = _limiters.fixed, _limiters.start
    if fixed is not None:
        set_concurrency(fixed)
    elif _limiters.fixed is None and jobs > _limiters.start:
        set_concurrency(start=jobs)
    try:
        yield
    finally:
        if before != (_limiters.fixed, _limiters.start):
            set_concurrency(before[0], start=before[1])
