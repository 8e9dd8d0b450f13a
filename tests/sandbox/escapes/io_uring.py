"""Makes an io_uring, which opens files past the filter."""

import ctypes

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(425, 8, ctypes.create_string_buffer(120)) >= 0
