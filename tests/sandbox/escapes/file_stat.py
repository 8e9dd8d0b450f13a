"""Asks whether the test examples exist, and for their size."""

import os

STOPPED_AT = "L3"
# Landlock does not cover stat: only a root of its own takes the path away.
THROUGH_AT = "L2"


def attack(t):
    return os.stat(t["answers"]).st_size > 0
