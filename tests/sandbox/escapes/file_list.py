"""Lists the folder of the test examples."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return "answers" in os.listdir(os.path.dirname(t["answers"]))
