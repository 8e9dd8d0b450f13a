"""Sends the supervisor a signal."""

import os
import signal

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.kill(t["supervisor"], signal.SIGURG)
    return True
