"""Adds a filter of its own that lies to the driver."""

import ctypes
import struct

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    program = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
    held = ctypes.create_string_buffer(program, 8)
    return sc(317, 1, 0, struct.pack("HP", 1, ctypes.addressof(held))) == 0
