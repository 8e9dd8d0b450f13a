"""Leaves by an exception that the driver may pass on."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.exit(0)
