"""The memory of a process that holds keys."""

from __future__ import annotations

import ctypes
import sys

if sys.platform != "win32":
    import resource

_PR_SET_DUMPABLE = 4


def protect_memory() -> None:
    """Keeps the process's memory and environment from core dumps and, on Linux, from other programs of the same user.

    An optimizer in a process of its own could otherwise read the key of its parent, which it does not get, from
    ``/proc``. What the process starts by exec is not affected, except that it writes no core dumps either.
    """
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
