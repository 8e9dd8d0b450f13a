"""Changes the memory of a small integer that every program shares."""

import ctypes

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    ctypes.c_long.from_address(id(256) + 24).value = 666
    return 0
