"""Loads for ever, before it is called."""

STOPPED_AT = "L0"
THROUGH_AT = None

while True:
    pass


def attack(t):
    return 0
