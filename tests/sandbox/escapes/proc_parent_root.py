"""Reads the test examples by the supervisor's own root."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return "SECRET" in open(f"/proc/{t['supervisor']}/root{t['answers']}").read()
