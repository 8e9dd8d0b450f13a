"""Looks for the key in the environment that it was started with."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return b"SECRET" in open("/proc/self/environ", "rb").read()
