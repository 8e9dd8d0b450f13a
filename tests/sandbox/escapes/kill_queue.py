"""Queues a signal with data for the supervisor."""

import signal
import struct

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    info = struct.pack("iii", signal.SIGURG, 0, -1) + bytes(116)
    return sc(129, t["supervisor"], signal.SIGURG, info) == 0
