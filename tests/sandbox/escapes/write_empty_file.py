"""Makes an empty file beside the test examples."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    open(t["outside"], "w").close()
