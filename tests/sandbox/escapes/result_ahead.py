"""Answers the next call ahead, with its number."""

import os
import struct
import time

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    one, two = b'{"n": 1, "value": 0}', b'{"n": 2, "value": 666}'
    os.write(3, struct.pack(">I", len(one)) + one + struct.pack(">I", len(two)) + two)
    time.sleep(1)


def second(t):
    return 0
