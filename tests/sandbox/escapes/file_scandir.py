"""Looks at the folder of the test examples by scandir."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return [entry.name for entry in os.scandir(os.path.dirname(t["answers"]))]
