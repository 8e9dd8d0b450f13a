"""Reads the supervisor's memory by process_vm_readv."""

import ctypes
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    here = ctypes.create_string_buffer(8)
    mine = struct.pack("QQ", ctypes.addressof(here), 8)
    theirs = struct.pack("QQ", t["address"], 8)
    return sc(310, t["supervisor"], mine, 1, theirs, 1, 0) > 0
