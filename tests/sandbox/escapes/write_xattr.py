"""Marks a file of the user's with an attribute."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.setxattr(t["victim"], "user.og", b"1")
    return True
