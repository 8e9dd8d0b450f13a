"""Fills the memory in small pieces."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    held = []
    while True:
        held.append(bytes(1 << 16))
        if len(held) > 3 << 14:
            return True
