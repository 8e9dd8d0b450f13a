"""Mounts by the new interface."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(430, b"tmpfs", 0) >= 0
