"""Walks the frames up to the driver and changes its number of the call."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    frame = sys._getframe()
    while frame:
        for _name, value in list(frame.f_locals.items()):
            if type(value).__name__ == "Driver":
                value.sources = {"attack": "", "second": "def second(t): return 666"}
                value.output = 1 << 40
        frame = frame.f_back
    return 0
