"""Puts a module among the installed packages."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    open(t["site_packages"] + "/og_escape.py", "w").write("raise SystemExit")
    return True
