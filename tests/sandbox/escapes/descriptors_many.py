"""Takes all the descriptors that the machine has."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return len([os.dup(0) for _ in range(5000)])
