"""Adds an audit hook, which can't be taken away."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.addaudithook(lambda *_: None)
    return 0
