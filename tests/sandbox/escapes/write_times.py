"""Changes the times of a file of the user's."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.utime(t["victim"], (1, 1))
