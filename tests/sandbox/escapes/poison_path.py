"""Puts a folder of its own first on the way of imports."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.path.insert(0, t["scratch"])
    sys.meta_path.clear()
    return 0
