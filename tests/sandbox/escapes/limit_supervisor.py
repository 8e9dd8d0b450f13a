"""Reads and sets the limits of the supervisor."""

import ctypes

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(302, t["supervisor"], 7, 0, ctypes.create_string_buffer(16)) == 0
