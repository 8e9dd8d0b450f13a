"""Swaps two of the user's files."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(316, -100, t["victim"].encode(), -100, t["answers"].encode(), 2) == 0
