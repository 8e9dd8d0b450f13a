"""Runs code when its process ends."""

import atexit

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    atexit.register(lambda: open(t["late"], "w").close())
    return 0
