"""Slows the supervisor down."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.setpriority(os.PRIO_PROCESS, t["supervisor"], 5)
    return True
