"""Sends an error that names a limit and a path of the harness."""

import os
import struct

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    body = b'{"n": 1, "error": "BudgetSpent", "message": "/opto_gym/x.py", "line": 99999999}'
    os.write(3, struct.pack(">I", len(body)) + body)
    os._exit(0)
