"""Looks into the homes of the machine's users."""

import os

STOPPED_AT = "L2"
THROUGH_AT = None


def attack(t):
    return os.listdir("/home") or os.listdir("/root")
