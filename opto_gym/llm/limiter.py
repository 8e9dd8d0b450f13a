"""How many requests to an endpoint are under way at a time.

The number adapts, as in Inspect AI: it begins at 20, grows while answers come, and halves when the endpoint says that
there are too many requests or gives no answer in time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

START, MOST = 20, 100
"""The requests at a time at the beginning, and at most."""


class Limiter:
    """Admits so many requests at a time. Thread-safe.

    Args:
        fixed: The number of requests at a time, which then does not adapt; None for one that does.
        start: The number at the beginning, where it adapts.

    Attributes:
        limit: The number of requests at a time.
    """

    def __init__(self, fixed: int | None = None, *, start: int = START) -> None:
        if fixed is not None and fixed < 1:
            raise ValueError(f"expected a concurrency of at least 1, got {fixed!r}")
        self._fixed = fixed is not None
        self.limit = fixed if fixed is not None else start
        self.most = fixed if fixed is not None else max(start, MOST)
        self._in_flight, self._answers = 0, 0
        self._lowered, self._was_lowered = 0.0, False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def request(self) -> Iterator[Ticket]:
        """Waits until a request may be sent. The block sends it, and calls `Ticket.too_many` where it is refused."""
        with self._changed:
            while self._in_flight >= self.limit:
                self._changed.wait()
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


class Ticket:
    """One admitted request.

    Attributes:
        sent: When it was sent, by the monotonic clock.
        is_too_many: Whether the endpoint refused it for the number of requests, or let it wait for too long.
    """

    __slots__ = ("is_too_many", "sent")

    def __init__(self, sent: float) -> None:
        self.sent, self.is_too_many = sent, False

    def too_many(self) -> None:
        """Says that there are too many requests at a time."""
        self.is_too_many = True


_limiters: dict[str, Limiter] = {}
_lock = threading.Lock()


def limiter_of(endpoint: str) -> Limiter:
    """The limiter that all clients of an endpoint in this process share."""
    with _lock:
        if endpoint not in _limiters:
            _limiters[endpoint] = Limiter(1) if endpoint == "local" else Limiter(*_settings[:1], start=_settings[1])
        return _limiters[endpoint]


_settings: tuple[int | None, int] = (None, START)


def set_concurrency(fixed: int | None = None, *, at_least: int = START) -> None:
    """Sets how many requests each endpoint gets at a time from now on, except for the embedded model.

    Args:
        fixed: The number; None adapts it.
        at_least: The number to begin with where it adapts, such as the number of trials that run at a time.
    """
    global _settings
    with _lock:
        _settings = fixed, max(START, at_least)
        _limiters.clear()
