"""Samples the machine by perf events."""

import struct

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return sc(298, struct.pack("II", 1, 120) + bytes(112), 0, -1, -1, 0) >= 0
