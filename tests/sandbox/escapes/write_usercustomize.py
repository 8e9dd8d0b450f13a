"""Leaves a usercustomize module in the user's home."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):

    folder = t["home"] + "/.local/lib"
    os.makedirs(folder)
    open(folder + "/usercustomize.py", "w").close()
    return True
