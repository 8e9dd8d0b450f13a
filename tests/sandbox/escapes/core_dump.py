"""Dumps its core to the disk."""

import resource

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
    return True
