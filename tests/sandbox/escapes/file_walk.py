"""Looks around on the machine for what others keep there."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return [name for name in os.listdir("/tmp") if name.startswith("og_")]
