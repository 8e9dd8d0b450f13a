"""Looks among the loaded modules for opto_gym's."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return any(name.startswith("opto_gym") for name in sys.modules)
