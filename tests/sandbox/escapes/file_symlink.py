"""Reads the test examples through a symbolic link in its own folder."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    link = t["scratch"] + "/link"
    os.symlink(t["answers"], link)
    return "SECRET" in open(link).read()
