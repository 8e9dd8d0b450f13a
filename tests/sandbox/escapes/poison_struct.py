"""Replaces struct for whoever comes next."""

import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    struct.pack = struct.unpack = lambda *_: b""
    return 0
