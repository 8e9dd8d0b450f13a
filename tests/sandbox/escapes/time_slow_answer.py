"""Sends its answer a byte at a time."""

import os
import struct
import time

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    for byte in struct.pack(">I", 1000) + b" " * 996:
        os.write(3, bytes([byte]))
        time.sleep(0.05)
    return 0
