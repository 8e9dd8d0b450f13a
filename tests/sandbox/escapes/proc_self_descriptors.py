"""Looks for descriptors by /proc/self/fd."""

import os

STOPPED_AT = "L2"
THROUGH_AT = None


def attack(t):
    return [n for n in os.listdir("/proc/self/fd") if int(n) > 4]
