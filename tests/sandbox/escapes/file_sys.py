"""Reads the machine's configuration under /sys."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return os.listdir("/sys/class")
