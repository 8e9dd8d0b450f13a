"""Sends half an answer and leaves the rest to the driver's."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.write(3, struct.pack(">I", 60) + b'{"n": 1, "value": 666, "x": "')
    return 0


def second(t):
    return 0
