"""Raises its own limit on memory again."""

import resource

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return True
