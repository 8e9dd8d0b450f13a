"""Prints 100 MB."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    for _ in range(100):
        print("x" * 1_000_000)
    return 0
