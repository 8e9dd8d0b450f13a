"""Maps the test examples into its memory."""

import mmap
import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    fd = os.open(t["answers"], os.O_RDONLY)
    return b"SECRET" in mmap.mmap(fd, 0, prot=mmap.PROT_READ)[:]
