"""Sends brackets that are nested half a million deep."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    body = b'{"n": 1, "value": ' + b"[" * 500_000
    os.write(3, struct.pack(">I", len(body)) + body)
    return 0
