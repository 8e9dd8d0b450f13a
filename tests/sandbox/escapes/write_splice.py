"""Copies the test examples outward by splice."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    _ours, theirs = os.pipe()
    return sc(275, os.open(t["answers"], os.O_RDONLY), 0, theirs, 0, 100, 0) > 0
