"""Types into the terminal of the supervisor."""

import fcntl

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return fcntl.ioctl(0, 0x5412, b"x") == 0
