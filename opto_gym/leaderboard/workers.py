"""Threads that run trials, and Ctrl-C as a count in place of an exception."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
THREAD_NAME = "opto-gym-trial"


class Workers(Generic[T]):
    """Threads that run functions, each as a daemon: a process can end while one is busy.

    `concurrent.futures.ThreadPoolExecutor` would wait for its threads at the end of the process, however often the user
    asks it to stop.

    Args:
        number: How many functions run at a time.
    """

    def __init__(self, number: int) -> None:
        self._waiting = queue.SimpleQueue[tuple[Future[T], Callable[[], T]] | None]()
        self._threads = [threading.Thread(target=self._work, name=THREAD_NAME, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """The future result of a function."""
        future: Future[T] = Future()
        self._waiting.put((future, function))
        return future

    def close(self) -> None:
        """Ends each thread after the functions that are waiting."""
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            future, function = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as e:  # it belongs to the thread that asks for the result
                future.set_exception(e)
            else:
                future.set_result(result)


def trials_are_running() -> bool:
    """Whether a trial still runs, after a run that was not waited for."""
    return any(thread.name == THREAD_NAME and thread.is_alive() for thread in threading.enumerate())


class Interrupts:
    """Counts Ctrl-C inside a ``with`` block. The exception that Python raises could break off any statement.

    In another thread than the main one, or where SIGINT is ignored, nothing is counted.

    Attributes:
        count: How often Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.count = 0
        self._previous: Any = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            self._previous = signal.signal(signal.SIGINT, self._add)
        return self

    def __exit__(self, *error: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _add(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
