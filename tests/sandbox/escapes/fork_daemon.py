"""Leaves a daemon behind that outlives the call."""

import os
import time

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3)
            open(t["late"], "w").close()
        os._exit(0)
    return 0
