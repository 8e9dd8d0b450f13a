"""Changes into the folder of the test examples and reads them there."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    os.chdir(os.path.dirname(t["answers"]))
    return "SECRET" in open("answers").read()
