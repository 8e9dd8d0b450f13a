"""Sends the null signal to every process that it may signal."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.kill(-1, 0)
    return True
