"""Opens the folder first and the test examples relative to its descriptor."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    folder = os.open(os.path.dirname(t["answers"]), os.O_PATH)
    return b"SECRET" in os.read(os.open("answers", os.O_RDONLY, dir_fd=folder), 100)
