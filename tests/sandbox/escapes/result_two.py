"""Answers twice, so that the second is taken for that of the next call."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    body = b'{"n": 2, "value": 666}'
    os.write(3, struct.pack(">I", len(body)) + body)
    return 0


def second(t):
    return 0
