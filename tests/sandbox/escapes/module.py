"""Loads a module into the kernel."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(175, b"", 0, b"") == 0
