"""Stops itself, so that nobody answers."""

import os
import signal

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.kill(os.getpid(), signal.SIGSTOP)
    return 0
