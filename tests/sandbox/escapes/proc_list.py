"""Counts the machine's processes."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return [n for n in os.listdir("/proc") if n.isdigit()]
