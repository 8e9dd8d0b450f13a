"""Stays in C code that looks at no signal."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sum(range(1 << 62))
