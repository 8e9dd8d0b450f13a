"""Sets the machine's clock."""

import time

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return True
