"""Swaps a file of its own for a link to the test examples while it opens it."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    name = t["scratch"] + "/race"
    for _k in range(50):
        open(name, "w").close()
        os.unlink(name)
        os.symlink(t["answers"], name)
        if "SECRET" in open(name).read():
            return True
        os.unlink(name)
    return None
