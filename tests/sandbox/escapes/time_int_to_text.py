"""Turns a huge integer into text."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.set_int_max_str_digits(0)
    return len(str(1 << 100_000_000))
