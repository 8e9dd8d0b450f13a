"""Calls a function of the supervisor's that it was not given."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    body = b'{"host": "eval", "args": ["1"]}'
    os.write(3, struct.pack(">I", len(body)) + body)
    os.read(3, 4)
    return os.read(3, 100)
