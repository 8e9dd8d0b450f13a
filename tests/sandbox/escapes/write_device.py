"""Makes a device node for the disk."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    os.mknod(t["outside"], 0o060600, os.makedev(8, 0))
