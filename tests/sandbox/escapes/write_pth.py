"""Puts a .pth file among the installed packages, which every interpreter runs at its start."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    open(t["site_packages"] + "/og_escape.pth", "w").close()
    return True
