"""What the clients of a run wait for: requests in flight and pauses, and how they are ended."""

from __future__ import annotations

import functools
import itertools
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..errors import BudgetSpent
from .endpoint import AttemptFailed

_LONG_PAUSE = 5.0  # seconds; a longer pause is announced
_IDLE = 10.0  # seconds after which a thread without a request ends
_SAID_AGAIN = 30.0  # seconds; pauses of other calls to the same endpoint are not announced before


class _Flight:
    """A request that is on its way.

    Attributes:
        to: Whom it asks, for messages.
        begin: The monotonic time of its begin.
        ended: Set when it has an outcome, or when nobody waits for it any longer.
        body: The body of the response, or None.
        error: What the request raised, or None.
    """

    def __init__(self, to: str) -> None:
        self.to, self.begin, self.ended = to, time.monotonic(), threading.Event()
        self.body: bytes | None = None
        self.error: BaseException | None = None

    def fly(self, post: Callable[[dict[str, Any]], bytes], request: dict[str, Any]) -> None:
        """Makes the request and keeps its outcome."""
        try:
            self.body = post(request)
        except BaseException as e:  # raised again in the thread that waits
            self.error = e
        finally:
            self.ended.set()


class _Threads:
    """Threads that make the requests. One that is free is used again, since a new one takes long to start."""

    def __init__(self) -> None:
        self._free: list[queue.SimpleQueue[Callable[[], None]]] = []

    def forget(self) -> None:
        """Leaves the threads to the process that this one was forked from: they do not run here."""
        self._free = []

    def run(self, task: Callable[[], None]) -> None:
        """Calls a function in a thread."""
        try:
            tasks = self._free.pop()
        except IndexError:
            tasks = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(tasks,), name="opto-gym-idle", daemon=True).start()
        tasks.put(task)

    def _work(self, tasks: queue.SimpleQueue[Callable[[], None]]) -> None:
        thread = threading.current_thread()
        while True:
            try:
                task = tasks.get(timeout=_IDLE)
            except queue.Empty:
                try:
                    self._free.remove(tasks)
                except ValueError:
                    continue  # it has just been taken, and its task is on the way
                return
            thread.name = "opto-gym-request"
            task()
            thread.name = "opto-gym-idle"
            del task  # with what it refers to
            self._free.append(tasks)


_threads = _Threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.forget)


class CallMonitor:
    """The requests in flight and the pauses of all clients of a run. Thread-safe.

    Args:
        say: Gets a line of text when a client begins a long pause.

    Attributes:
        stopped: Whether no further request may begin.
        abandoned: Whether the answers of requests in flight are not waited for either.
    """

    def __init__(self, say: Callable[[str], None] = lambda text: None) -> None:
        self.say = say
        self.stopped = threading.Event()
        self.abandoned = False
        self._lock = threading.Lock()
        self._flights: dict[int, _Flight] = {}
        self._numbers = itertools.count()
        self._said: dict[str, float] = {}
        self._said_once: set[str] = set()

    def stop(self) -> None:
        """Ends all pauses, and lets no further request begin."""
        self.stopped.set()

    def abandon(self) -> None:
        """Gives up the requests in flight: each is a failed attempt that may be billed."""
        self.stop()
        with self._lock:
            self.abandoned = True
            for flight in self._flights.values():
                flight.ended.set()

    def in_flight(self) -> str:
        """The requests in flight in words, with the seconds that the oldest of each endpoint has taken; "" if none."""
        with self._lock:
            flights = list(self._flights.values())
        now, oldest = time.monotonic(), dict[str, float]()
        for flight in flights:
            oldest[flight.to] = max(oldest.get(flight.to, 0.0), now - flight.begin)
        counted = Counter(flight.to for flight in flights)
        return ", ".join(f"{n} call{'s'[: n > 1]} of {to} ({oldest[to]:.0f} s so far)" for to, n in counted.items())

    def check(self) -> None:
        """Raises BudgetSpent if the run has been stopped."""
        if self.stopped.is_set():
            raise BudgetSpent("stopped", "the run is stopped")

    def pause(self, seconds: float, endpoint: str, reason: str) -> None:
        """Waits between two attempts.

        Args:
            seconds: How long.
            endpoint: Whose answer is waited for; of long pauses for one endpoint at the same time one is announced.
            reason: What follows "waiting 25 s" in the announcement.

        Raises:
            BudgetSpent: If the run is stopped, at once.
        """
        if seconds >= _LONG_PAUSE and self._may_say(endpoint):
            self.say(f"waiting {seconds:.0f} s for {endpoint}: {reason}")
        self.stopped.wait(seconds)
        self.check()

    def say_once(self, text: str) -> None:
        """Says a line of text, unless it was said before."""
        with self._lock:
            if text in self._said_once:
                return
            self._said_once.add(text)
        self.say(text)

    def post(
        self, post: Callable[[dict[str, Any]], bytes], request: dict[str, Any], *, seconds: float, to: str
    ) -> bytes:
        """Makes a request that is waited for no longer than some time, however slowly its answer drips in.

        The request is made by a thread of its own: the time limits of an HTTP library hold for each read, so that a
        server which sends a byte now and then is never too late. After its time nobody listens to that thread.

        Args:
            post: Makes the request and returns the body of its response.
            request: The argument of `post`.
            seconds: The most seconds to wait.
            to: Whom it asks, for messages.

        Raises:
            AttemptFailed: If the time is over, or the request is given up by `abandon`; and what `post` raises.
        """
        flight = _Flight(to)
        with self._lock:
            number = next(self._numbers)
            self._flights[number] = flight
        _threads.run(functools.partial(flight.fly, post, request))
        try:
            flight.ended.wait(seconds)
        finally:
            with self._lock:
                del self._flights[number]
        if flight.error is not None:
            raise flight.error
        if flight.body is not None:
            return flight.body
        if self.abandoned:
            raise AttemptFailed("given up by the user before its answer came", None, may_be_billed=True)
        raise AttemptFailed(f"no answer within {seconds:.4g} s", None, may_be_billed=True, timed_out=True)

    def _may_say(self, endpoint: str) -> bool:
        with self._lock:
            now = time.monotonic()
            if now - self._said.get(endpoint, -_SAID_AGAIN) < _SAID_AGAIN:
                return False
            self._said[endpoint] = now
            return True
