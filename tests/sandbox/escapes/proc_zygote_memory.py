"""Writes into the zygote's memory, and so into every later candidate."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    with open(f"/proc/{t['zygote']}/mem", "r+b"):
        return True
