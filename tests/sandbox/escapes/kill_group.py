"""Sends a signal to the supervisor's group."""

import os
import signal

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.killpg(t["group"], signal.SIGURG)
    return True
