"""Runs a regular expression that takes exponential time."""

import re

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return re.match(r"(a+)+$", "a" * 40 + "b")
