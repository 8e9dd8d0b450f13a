"""Opens a file by its handle, past every path."""

import ctypes
import struct

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    mount = ctypes.c_int()
    return sc(303, -100, t["answers"].encode(), handle, ctypes.addressof(mount), 0) == 0
