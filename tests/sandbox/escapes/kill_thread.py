"""Sends a signal to a thread of the supervisor's."""

import signal

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(234, t["supervisor"], t["supervisor"], signal.SIGURG) == 0
