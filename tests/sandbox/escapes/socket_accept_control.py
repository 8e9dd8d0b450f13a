"""Takes the supervisor's messages to the zygote."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    for fd in range(4, 300):
        try:
            if os.fstat(fd):
                return True
        except OSError:
            pass
    return None
