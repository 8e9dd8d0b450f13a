"""Gives away a file of the user's."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.chown(t["victim"], os.getuid(), os.getgid())
    return True
