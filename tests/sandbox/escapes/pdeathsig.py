"""Switches off that it dies with the zygote."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(157, 1, 0, 0, 0, 0) == 0
