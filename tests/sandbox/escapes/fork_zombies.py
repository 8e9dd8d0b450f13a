"""Leaves zombies behind."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    for _ in range(20):
        if os.fork() == 0:
            os._exit(0)
    return 0
