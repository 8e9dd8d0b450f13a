"""Reads the memory of another candidate that runs at the same time."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    for pid in range(max(os.getpid() - 50, 2), os.getpid() + 50):
        if pid != os.getpid():
            try:
                open(f"/proc/{pid}/mem", "rb").close()
                return True
            except OSError:
                pass
    return None
