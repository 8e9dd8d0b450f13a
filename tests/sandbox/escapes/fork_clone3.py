"""Starts a process by clone3, whose flags no filter can see."""

import os
import signal
import struct

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    args = struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    pid = sc(435, args, len(args))
    if pid == 0:
        os._exit(0)
    return pid > 0
