"""Watches a whole file system."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return sc(300, 0, 0) >= 0
