"""Raises its limit on processor time."""

import resource

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    resource.setrlimit(resource.RLIMIT_CPU, (1 << 30, 1 << 30))
    return True
