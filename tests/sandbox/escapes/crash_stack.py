"""Recurses until the stack of C is full."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.setrecursionlimit(1 << 30)

    class A:
        def __getattr__(self, name):
            return getattr(self, name + "x")

    return getattr(A(), "x")
