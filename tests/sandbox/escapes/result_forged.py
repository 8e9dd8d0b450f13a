"""Writes an answer of its own and ends before the driver can."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    body = b'{"n": 1, "value": 0, "score": 1.0, "reward": 1.0}'
    os.write(3, struct.pack(">I", len(body)) + body)
    os._exit(0)
