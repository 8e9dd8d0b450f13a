"""Installs functions that see every later call."""

import os
import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: os._exit(0))
    return 0
