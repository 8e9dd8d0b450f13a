"""Moves the supervisor to one processor."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.sched_setaffinity(t["supervisor"], os.sched_getaffinity(0))
    return True
