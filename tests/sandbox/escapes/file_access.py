"""Asks whether the test examples may be read."""

import os

STOPPED_AT = "L3"
# Landlock does not cover access(2).
THROUGH_AT = "L2"


def attack(t):
    return os.access(t["answers"], os.F_OK)
