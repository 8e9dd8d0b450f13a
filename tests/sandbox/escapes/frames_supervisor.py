"""Walks its frames up to the supervisor's."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    frame, seen = sys._getframe(), []
    while frame:
        seen.append(frame.f_code.co_filename)
        frame = frame.f_back
    return any("box.py" in name or "battleship" in name for name in seen)
