"""Takes a descriptor out of the supervisor."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    fd = sc(434, t["supervisor"], 0)
    return fd >= 0 and sc(438, fd, 3, 0) >= 0
