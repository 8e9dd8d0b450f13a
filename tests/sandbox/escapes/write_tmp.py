"""Leaves a file in /tmp for the next candidate."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    open("/tmp/og_escape", "w").close()
    return True
