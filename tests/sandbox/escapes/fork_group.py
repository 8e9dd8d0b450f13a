"""Moves into a group of its own."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    os.setpgid(0, t["group"])
    return True
