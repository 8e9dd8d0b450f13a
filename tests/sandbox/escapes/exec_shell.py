"""Runs a shell."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return os.system("true") == 0 and os.popen("echo hello").read() == "hello\n"
