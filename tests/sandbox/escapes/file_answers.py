"""Reads the test examples by their path."""

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return "SECRET" in open(t["answers"]).read()
