"""Computes a power with billions of digits."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return len(str(9**9**9))
