"""Loads a program into the kernel."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return sc(321, 0, bytes(128), 128) >= 0
