"""Reads where a symbolic link beside the test examples leads."""

import os

STOPPED_AT = "L3"
# Landlock does not cover readlink(2).
THROUGH_AT = "L2"


def attack(t):
    return os.readlink(t["link"])
