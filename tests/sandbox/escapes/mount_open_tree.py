"""Clones the tree of mounts."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(428, -100, b"/", 1) >= 0
