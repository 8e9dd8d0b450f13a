"""Writes to the terminal that the supervisor may be on."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return os.write(os.open("/dev/tty", os.O_RDWR), b"") == 0
