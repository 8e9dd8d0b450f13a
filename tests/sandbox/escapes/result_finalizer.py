"""Answers with an object whose finalizer answers again."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class A(list):
        def __del__(self):
            os.write(3, struct.pack(">I", 22) + b'{"n": 2, "value": 666}')

    return A()


def second(t):
    return 0
