"""Takes back its capabilities."""

import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(126, struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", 1 << 21, 1 << 21, 0, 0, 0, 0)) == 0
