"""Many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


def at_once(number: int, what: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=what, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
