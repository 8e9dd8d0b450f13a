"""Asks for a signal when the folder of the test examples changes."""

import fcntl
import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    fd = os.open(os.path.dirname(t["answers"]), os.O_RDONLY)
    return fcntl.fcntl(fd, fcntl.F_NOTIFY, 1) == 0
