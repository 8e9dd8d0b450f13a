"""Makes a named pipe beside the test examples."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.mkfifo(t["outside"])
