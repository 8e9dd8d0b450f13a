"""Makes a system call by x32's numbers."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(0x40000000 + 39) > 0
