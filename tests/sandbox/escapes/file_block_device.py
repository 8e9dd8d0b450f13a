"""Reads a disk past its file system."""

import os

STOPPED_AT = "L2"
THROUGH_AT = None


def attack(t):
    for name in os.listdir("/dev"):
        if name.startswith(("sd", "vd", "nvme", "xvd", "mem", "kmsg")):
            try:
                if os.read(os.open("/dev/" + name, os.O_RDONLY | os.O_NONBLOCK), 100):
                    return True
            except OSError:
                pass
    return None
