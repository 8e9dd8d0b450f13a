"""Makes a timer that signals a thread of its choice."""

import ctypes
import signal
import struct

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    event = struct.pack("qiii", 0, signal.SIGURG, 4, t["supervisor"]) + bytes(44)
    timer = ctypes.c_int()
    return sc(222, 1, event, ctypes.addressof(timer)) == 0
