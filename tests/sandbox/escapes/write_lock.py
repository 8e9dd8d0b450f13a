"""Takes a lock on a record, so that its writer waits for ever."""

import fcntl
import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    fd = os.open(t["victim"], os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True
