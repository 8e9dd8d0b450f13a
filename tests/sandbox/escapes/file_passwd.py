"""Reads the machine's users."""

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return "root" in open("/etc/passwd").read()
