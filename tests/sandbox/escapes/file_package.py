"""Reads opto_gym's own code, where the start policies are."""

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return "class" in open(t["package"] + "/core.py").read()
