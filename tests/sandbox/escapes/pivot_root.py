"""Swaps its root for the old one."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(155, b".", b".") == 0
