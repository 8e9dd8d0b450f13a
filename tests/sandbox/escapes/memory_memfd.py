"""Keeps data in a memfd, past the limit on memory."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return os.memfd_create("x")
