"""Reserves the disk's room."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    fd = os.open(t["scratch"] + "/reserved", os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(fd, 0, 1 << 28)
    return True
