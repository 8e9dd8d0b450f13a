"""Makes a file without a name and gives it one."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    fd = os.open(os.path.dirname(t["outside"]), os.O_TMPFILE | os.O_WRONLY)
    return sc(265, -100, f"/proc/self/fd/{fd}".encode(), -100, t["outside"].encode(), 0x400) == 0
