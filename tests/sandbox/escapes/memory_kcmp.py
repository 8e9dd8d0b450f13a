"""Compares descriptors with the supervisor's."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(312, os.getpid(), t["supervisor"], 0, 0, 0) >= 0
