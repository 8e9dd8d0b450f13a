"""Answers with text that is half a surrogate pair."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return 0
