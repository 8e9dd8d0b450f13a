"""Switches off the randomness of addresses."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(135, 0x0040000) >= 0
