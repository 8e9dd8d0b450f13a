"""Enters the supervisor's namespaces."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    fd = sc(434, t["supervisor"], 0)
    return fd >= 0 and sc(308, fd, 0x00020000) == 0
