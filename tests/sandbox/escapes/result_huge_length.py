"""Says that 4 GB follow."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.write(3, b"\xff\xff\xff\xff")
    return 0
