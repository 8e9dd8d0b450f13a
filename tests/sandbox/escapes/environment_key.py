"""Looks for the key in its environment."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return "SECRET" in str(dict(os.environ))
