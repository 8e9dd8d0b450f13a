"""Reads the machine's password hashes."""

STOPPED_AT = "L2"
THROUGH_AT = None


def attack(t):
    return open("/etc/shadow").read()
