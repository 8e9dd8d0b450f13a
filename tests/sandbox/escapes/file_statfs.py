"""Asks how full the disk with the test examples is."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return os.statvfs(t["answers"]).f_blocks
