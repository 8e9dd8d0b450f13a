"""Starts a process."""

import os

STOPPED_AT = "L1"
# An ordinary user's limit on processes refuses it at L0, root's from L1 on.
THROUGH_AT = None


def attack(t):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid
