"""Changes its local descriptor table."""

import ctypes

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(154, 0, ctypes.create_string_buffer(64), 64) >= 0
