"""Attaches to the supervisor as a debugger."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(101, 16, t["supervisor"], 0, 0) == 0
