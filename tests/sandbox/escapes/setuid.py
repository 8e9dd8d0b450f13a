"""Becomes root again."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.setresuid(0, 0, 0)
    return sc(165, b"tmpfs", b"/usr", b"tmpfs", 0, b"") == 0
