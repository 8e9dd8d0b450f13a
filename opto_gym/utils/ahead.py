"""Calls of a function on several items, side by side, with the results in the order of the items."""

from __future__ import annotations

import contextlib
import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextlib.contextmanager
def results_ahead(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[Iterator[R]]:
    """Gives an iterator of the function's results in the order of the items.

    With one worker each call is made when its result is asked for, in the thread that asks. With more, calls are made
    ahead in other threads, each in a copy of the context of this one. What a call raises is raised when its result is
    asked for: the first error in the order of the items. At the end of the block, calls that have not begun are
    cancelled, and those that run are waited for.

    Args:
        function: The function.
        items: The items.
        workers: The number of calls at a time.
    """
    if workers < 2:
        yield map(function, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="opto_gym example") as pool:
        futures: deque[Future[R]] = deque()
        for item in items:
            futures.append(pool.submit(contextvars.copy_context().run, function, item))
        try:
            yield (futures.popleft().result() for _ in range(len(futures)))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
