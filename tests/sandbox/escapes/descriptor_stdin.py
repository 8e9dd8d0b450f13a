"""Reads the supervisor's input."""

import os
import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sys.stdin.read() or os.read(0, 10)
