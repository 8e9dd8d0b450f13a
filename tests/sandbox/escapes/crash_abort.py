"""Aborts."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    os.abort()
