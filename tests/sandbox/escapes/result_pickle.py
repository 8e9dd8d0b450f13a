"""Sends a pickle that runs a command when it is loaded."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import pickle

    class A:
        def __reduce__(self):
            return open, (t["outside"], "w")

    body = pickle.dumps(A())
    os.write(3, struct.pack(">I", len(body)) + body)
    os._exit(0)
