"""Reads the test examples by a path that climbs out of a library's folder."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return "SECRET" in open(os.path.dirname(os.__file__) + "/.." * 20 + t["answers"]).read()
