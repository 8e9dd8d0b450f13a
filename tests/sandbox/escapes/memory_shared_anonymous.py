"""Maps shared memory of 4 GiB."""

import mmap

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return len(mmap.mmap(-1, 4 << 30))
