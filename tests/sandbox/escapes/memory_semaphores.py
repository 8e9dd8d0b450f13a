"""Makes System V semaphores, which stay after the process."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    made = sc(64, 0x6F67, 1, 0o1600)
    return made >= 0 and (sc(66, made, 0, 0, 0) or True)
