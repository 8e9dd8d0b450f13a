"""Puts a file of its own in the place of one of the user's."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.rename(t["victim"], t["outside"])
