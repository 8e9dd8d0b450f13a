"""Prints a score where the supervisor prints."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    print("score: 1.0")
    os.write(1, b"SECRET")
    os.write(2, b"SECRET")
    return os.isatty(1)
