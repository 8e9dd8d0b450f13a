"""Sends the zygote a signal."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.kill(t["zygote"], 0)
    return True
