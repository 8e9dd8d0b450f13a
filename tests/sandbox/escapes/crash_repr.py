"""Nests a list so deep that printing it smashes the stack."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    a = []
    for _ in range(1 << 20):
        a = [a]
    sys.setrecursionlimit(1 << 30)
    return len(repr(a))
