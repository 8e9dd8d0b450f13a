"""Answers with numbers that are none."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return 0
