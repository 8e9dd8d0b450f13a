"""Gives the supervisor the lowest priority at the disk."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(251, 1, t["supervisor"], (2 << 13) | 7) == 0
