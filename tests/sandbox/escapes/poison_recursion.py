"""Leaves a recursion limit that nobody can work with."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.setrecursionlimit(60)
    return 0
