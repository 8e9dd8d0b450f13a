"""Reads the supervisor's memory by /proc."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    with open(f"/proc/{t['supervisor']}/maps") as maps, open(f"/proc/{t['supervisor']}/mem", "rb") as memory:
        memory.seek(int(maps.read().split("-")[0], 16))
        return memory.read(16)
