"""Advises the kernel to page out the supervisor."""

import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    fd = sc(434, t["supervisor"], 0)
    return sc(440, fd, struct.pack("QQ", t["address"], 4096), 1, 21, 0) >= 0
