"""Starts a thread that goes on after the answer."""

import os
import struct
import threading
import time

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    def later():
        time.sleep(0.1)
        os.write(3, struct.pack(">I", 22) + b'{"n": 2, "value": 666}')

    threading.Thread(target=later, daemon=True).start()
    return 0


def second(t):
    time.sleep(0.3)
    return 0
