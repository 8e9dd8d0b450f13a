"""Leaves a file in /dev/shm for the next candidate."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    open("/dev/shm/og_escape", "w").close()
    return True
