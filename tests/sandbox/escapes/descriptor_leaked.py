"""Reads from a descriptor that the supervisor left open and inheritable."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return b"SECRET" in os.pread(t["leaked"], 100, 0)
