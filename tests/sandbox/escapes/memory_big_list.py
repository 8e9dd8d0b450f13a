"""Asks for a list of 10 GB."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return len([0] * (10 << 27))
