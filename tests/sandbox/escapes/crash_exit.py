"""Leaves without an answer."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os._exit(0)
