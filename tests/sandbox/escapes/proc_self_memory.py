"""Writes into its own memory by /proc, past the protection of pages."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    with open("/proc/self/mem", "r+b"):
        return True
