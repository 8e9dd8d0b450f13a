"""Fills the disk with a file."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    with open(t["scratch"] + "/full", "wb", buffering=0) as f:
        for _ in range(200):
            f.write(bytes(1 << 20))
    return True
