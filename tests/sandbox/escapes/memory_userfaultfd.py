"""Stops the kernel in the midst of a copy by userfaultfd."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(323, 1) >= 0
