"""Reads the supervisor's environment, where the key is."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return b"SECRET" in open(f"/proc/{t['supervisor']}/environ", "rb").read()
