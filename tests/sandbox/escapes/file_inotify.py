"""Watches the folder of the test examples for changes."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    fd = sc(294, 0)
    return fd >= 0 and sc(254, fd, os.path.dirname(t["answers"]).encode(), 0xFFF) >= 0
