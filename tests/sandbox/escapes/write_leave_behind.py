"""Leaves a file in its current folder for the next candidate."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    open("left", "w").close()
    return 0
