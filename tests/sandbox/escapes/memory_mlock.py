"""Locks memory, so that the machine has none to give."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(151, 3) == 0 and bytes(1 << 28)
