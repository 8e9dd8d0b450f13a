"""Makes rules of Landlock of its own."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(444, 0, 0, 1) > 0
