"""Copies the test examples outward by sendfile."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    _ours, theirs = os.pipe()
    return os.sendfile(theirs, os.open(t["answers"], os.O_RDONLY), 0, 100)
