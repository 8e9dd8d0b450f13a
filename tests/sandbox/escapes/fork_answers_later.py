"""Leaves a process behind that writes on the channel later."""

import os
import struct
import time

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    if os.fork() == 0:
        time.sleep(0.2)
        os.write(3, struct.pack(">I", 21) + b'{"n": 2, "value": 666}')
        os._exit(0)
    return 0


def second(t):
    time.sleep(0.3)
    return 0
