"""Sends a message that has its value twice."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    body = b'{"n": 1, "value": 0, "value": 666}'
    os.write(3, struct.pack(">I", len(body)) + body)
    os._exit(0)


def second(t):
    return 0
