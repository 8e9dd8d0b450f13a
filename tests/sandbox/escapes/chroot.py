"""Changes its root."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.chroot("/tmp")
    return True
