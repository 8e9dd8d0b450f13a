"""Makes a System V message queue, which stays after the process."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    made = sc(68, 0x6F67, 0o1600)
    return made >= 0 and (sc(71, made, 0, 0) or True)
