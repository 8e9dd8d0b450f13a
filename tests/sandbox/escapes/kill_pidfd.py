"""Sends the supervisor a signal by a pidfd."""

import signal

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    fd = sc(434, t["supervisor"], 0)
    return fd >= 0 and sc(424, fd, signal.SIGURG, 0, 0) == 0
