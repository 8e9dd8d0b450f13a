"""Enters a new user namespace, where it is root."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(272, 0x10000000) == 0
