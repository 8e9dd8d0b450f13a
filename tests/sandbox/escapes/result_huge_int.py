"""Answers with an integer of a million digits."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return 10**1_000_000
