"""Starts a process in new namespaces."""

import os
import signal

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    pid = sc(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0
