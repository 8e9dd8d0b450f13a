"""Makes a hard link to the test examples in its own folder."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.link(t["answers"], t["scratch"] + "/hard")
    return "SECRET" in open(t["scratch"] + "/hard").read()
