"""Leaves its session so that a kill of the group misses it."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.setsid()
    return True
