"""Answers with 10 million items."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return [0] * 10_000_000
