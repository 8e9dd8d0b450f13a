"""Changes the machine's name."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(170, b"og-escape", 9) == 0
