"""Makes System V shared memory, which stays after the process."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    made = sc(29, 0x6F67, 4096, 0o1600)
    return made >= 0 and (sc(31, made, 0, 0) or True)
