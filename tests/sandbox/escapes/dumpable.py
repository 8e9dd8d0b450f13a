"""Makes itself dumpable, so that another candidate can read its memory."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(157, 4, 1, 0, 0, 0) == 0
