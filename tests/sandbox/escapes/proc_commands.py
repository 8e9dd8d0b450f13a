"""Lists the machine's processes with their commands."""

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    return open(f"/proc/{t['supervisor']}/cmdline").read()
