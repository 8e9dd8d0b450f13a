"""Makes a sparse file of a terabyte."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    with open(t["scratch"] + "/sparse", "wb") as f:
        f.truncate(1 << 40)
    return True
