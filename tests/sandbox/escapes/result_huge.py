"""Answers with 100 MB."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return "x" * 100_000_000
