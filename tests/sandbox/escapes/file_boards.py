"""Reads the data of a task in opto_gym's package."""

import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    for folder, _, files in os.walk(t["package"]):
        if any(open(os.path.join(folder, file), "rb").read(1) for file in files):
            return True
    return None
