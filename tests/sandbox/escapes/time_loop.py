"""Computes for ever."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    while True:
        pass
