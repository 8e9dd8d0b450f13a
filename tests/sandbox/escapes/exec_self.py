"""Replaces itself by another program."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.execv("/bin/sh", ["sh", "-c", ": > " + t["outside"]])
