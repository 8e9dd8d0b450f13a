"""Fills the disk with thousands of empty files."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    for k in range(600):
        open(f"{t['scratch']}/many{k}", "w").close()
    return True
