"""Reads the kernel's log."""

import ctypes

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return sc(103, 3, ctypes.create_string_buffer(1000), 1000) > 0
