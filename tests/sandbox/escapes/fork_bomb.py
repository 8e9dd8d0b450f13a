"""Starts processes until there are no more."""

import os
import time

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    pids = []
    for _ in range(60):
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        pids.append(pid)
    return len(pids) == 60
