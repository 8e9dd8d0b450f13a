"""Unmounts its scratch folder to see what is below."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return sc(166, b"/tmp/scratch", 2) == 0
